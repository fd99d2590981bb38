"""Converts timestamps of every type to Unix microseconds."""

from datetime import UTC, date, datetime

import polars as pl

from dataset.interaction_codes import DAY, MICROSECONDS
from dataset.prepare.schema import is_string
from dataset.prepare.timestamp_texts import read_dates, show_no_order

# Upper limits of seconds, milliseconds and microseconds, and what one of them is in microseconds.
# Dates from 1973 to 5138 are in one range each, so every number is read by its own size.
_UNITS = (("seconds", 1e11, 1e6), ("milliseconds", 1e14, 1e3), ("microseconds", 1e17, 1.0))
_NANOSECONDS = "nanoseconds"
# Whole numbers that spell a date: as numbers of seconds or milliseconds, all are of the 1970s or
# after 2571.
_SPELT = (
    (19_000_101, 21_001_231, "%Y%m%d"),
    (190_001_010_000, 210_012_312_359, "%Y%m%d%H%M"),
    (19_000_101_000_000, 21_001_231_235_959, "%Y%m%d%H%M%S"),
)
_SPELT_DATE = "dates like 20240131"
_DIGITS = r"^\d{8,19}(\.\d+)?$"
_TEXT = "text"
_FIRST, _END = -62_135_596_800, 253_402_300_800
"""Unix seconds at which the year 1 begins, and the year 10,000."""


def is_time(kind: pl.DataType) -> bool:
    """Whether a column of the type can hold timestamps."""
    return kind.is_numeric() or isinstance(kind, pl.Datetime | pl.Date) or is_string(kind)


def unix_microseconds(column: str, kind: pl.DataType) -> pl.Expr:
    """Unix microseconds (UTC) of a column of timestamps; null if one cannot be read.

    Numbers count seconds, milliseconds, microseconds or nanoseconds from 1970, each by its own
    size, or spell a date, like 20240131. Dates and times without a zone are UTC. Text is ISO 8601,
    `31.12.2024 14:05`, `12/31/2024 02:05 PM`, or digits. If no date of a column shows whether day
    or month comes first, dates with slashes cannot be read.

    Args:
        column: Name of the column.
        kind: Type of the column, accepted by `is_time`.
    """
    if kind.is_numeric():
        return _from_number(_number(column, kind))
    if is_string(kind):
        return pl.col(column).map_batches(_from_texts, return_dtype=pl.Int64)
    return _from_datetime(pl.col(column), kind)


def is_ambiguous(column: str, kind: pl.DataType) -> pl.Expr:
    """Whether a text is a date of which either of two numbers may be the month."""
    if not is_string(kind):
        return pl.lit(value=False)
    return pl.col(column).map_batches(show_no_order, return_dtype=pl.Boolean)


def read_as(column: str, kind: pl.DataType) -> pl.Expr:
    """Name of the unit or form in which a timestamp is read."""
    if kind.is_numeric():
        return _unit(_number(column, kind))
    if is_string(kind):
        text = pl.col(column).cast(pl.String).str.strip_chars()
        whole = text.str.contains(_DIGITS)
        return pl.when(whole).then(_unit(_digits(text))).otherwise(pl.lit(_TEXT))
    return pl.lit(str(kind))


def beyond_years(column: str, kind: pl.DataType) -> pl.Expr:
    """Whether a date or time is outside the years 1 to 9999 (UTC); Python has no others."""
    number = pl.col(column).to_physical()
    if isinstance(kind, pl.Date):
        return ~number.is_between(_FIRST // DAY, _END // DAY, closed="left")
    second = {"ms": 1_000, "us": MICROSECONDS}.get(getattr(kind, "time_unit", ""))
    if second is None:  # nanoseconds reach from 1677 to 2262
        return pl.lit(value=False)
    return ~number.is_between(_FIRST * second, _END * second, closed="left")


def from_date(day: str) -> int:
    """Unix microseconds of the start of a day, UTC.

    Raises:
        ValueError: the text is no date like 2000-01-31.
    """
    start = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
    return int(start.timestamp()) * MICROSECONDS


def _number(column: str, kind: pl.DataType) -> pl.Expr:
    """Numbers as int64 or float64; null for others, such as infinity."""
    number = pl.col(column)
    if kind.is_integer():
        return number.cast(pl.Int64, strict=False)
    number = number.cast(pl.Float64)
    return pl.when(number.is_finite()).then(number)


def _from_texts(texts: pl.Series) -> pl.Series:
    """Unix microseconds of texts; each step once, because polars repeats an inlined expression."""
    rows = pl.DataFrame({"text": texts.cast(pl.String).str.strip_chars()})
    rows = rows.with_columns(number=_digits(pl.col("text")), date=read_dates(rows["text"]))
    return rows.select(pl.coalesce("date", _from_number(pl.col("number")))).to_series()


def _digits(text: pl.Expr) -> pl.Expr:
    """Numbers of texts of digits, float64, exact for seconds down to the microsecond."""
    return pl.when(text.str.contains(_DIGITS)).then(text).cast(pl.Float64, strict=False)


def _unit(number: pl.Expr) -> pl.Expr:
    unit = pl.lit(_NANOSECONDS)
    for name, limit, _ in reversed(_UNITS):
        unit = pl.when(number.abs() < limit).then(pl.lit(name)).otherwise(unit)
    return pl.when(_spelt(number).is_not_null()).then(pl.lit(_SPELT_DATE)).otherwise(unit)


def _from_number(number: pl.Expr) -> pl.Expr:
    counted = number / 1e3
    for _, limit, factor in reversed(_UNITS):
        counted = pl.when(number.abs() < limit).then(number * factor).otherwise(counted)
    return pl.coalesce(_spelt(number), counted.round().cast(pl.Int64, strict=False))


def _spelt(number: pl.Expr) -> pl.Expr:
    """Unix microseconds of the dates that numbers spell; null for other numbers."""
    text = number.cast(pl.Int64, strict=False).cast(pl.String)
    return pl.coalesce(
        pl.when(number.is_between(first, last) & (number.floor() == number))
        .then(text)
        .str.to_datetime(form, strict=False, time_unit="us")
        .dt.epoch("us")
        for first, last, form in _SPELT
    )


def _from_datetime(column: pl.Expr, kind: pl.DataType) -> pl.Expr:
    """Exact microseconds; what int64 cannot hold becomes the largest number, or the smallest."""
    size, exact = _approximate(column, kind), _physical(column, kind)
    held = pl.when(size.abs() < 9e18).then(exact)
    return held.when(size > 0).then(pl.lit(2**63 - 1)).when(size < 0).then(pl.lit(-(2**63)))


def _physical(column: pl.Expr, kind: pl.DataType) -> pl.Expr:
    number = column.to_physical().cast(pl.Int64)
    if isinstance(kind, pl.Date):
        return number * (DAY * MICROSECONDS)
    if isinstance(kind, pl.Datetime) and kind.time_unit == "ns":
        return number // 1_000
    return number * 1_000 if isinstance(kind, pl.Datetime) and kind.time_unit == "ms" else number


def _approximate(column: pl.Expr, kind: pl.DataType) -> pl.Expr:
    number = column.to_physical().cast(pl.Float64)
    if isinstance(kind, pl.Date):
        return number * (DAY * MICROSECONDS)
    scale = {"ns": 1e-3, "us": 1.0, "ms": 1e3}
    return number * scale[kind.time_unit] if isinstance(kind, pl.Datetime) else number

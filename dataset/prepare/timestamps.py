"""Converts timestamps of every type to Unix seconds."""

import polars as pl

from dataset.prepare.schema import is_string

# Upper limits of a column's median for seconds, milliseconds and microseconds, and the divisors.
# Seconds reach 1e11 in the year 5138; milliseconds exceeded it in 1973.
_UNITS = ((1e11, 1), (1e14, 1_000), (1e17, 1_000_000))
_NANOSECONDS = 1_000_000_000
_FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d")
_ZONED = ("%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M%#z")


def is_time(kind: pl.DataType) -> bool:
    """Whether a column of the type can hold timestamps."""
    return kind.is_numeric() or isinstance(kind, pl.Datetime | pl.Date) or is_string(kind)


def unix_seconds(column: str, kind: pl.DataType) -> pl.Expr:
    """Unix seconds (UTC) of a column of timestamps; null if one cannot be read.

    Numbers count from 1970 in the unit that their median suggests. Dates and times without a
    zone are UTC. Strings are ISO 8601 or digits.

    Args:
        column: Name of the column.
        kind: Type of the column, accepted by `is_time`.
    """
    if kind.is_numeric():
        return _from_number(pl.col(column).cast(pl.Float64))
    if is_string(kind):
        return _from_string(pl.col(column).cast(pl.String))
    return pl.col(column).dt.epoch("s").cast(pl.Int64)


def _from_number(number: pl.Expr) -> pl.Expr:
    finite = pl.when(number.is_finite()).then(number)
    size = finite.median().abs()
    unit = pl.lit(_NANOSECONDS)
    for limit, divisor in reversed(_UNITS):
        unit = pl.when(size < limit).then(divisor).otherwise(unit)
    return (finite / unit).floor().cast(pl.Int64, strict=False)


def _from_string(text: pl.Expr) -> pl.Expr:
    text = text.str.strip_chars().str.replace(r"^(\S+)[Tt]", "${1} ")
    naive = [text.str.to_datetime(f, strict=False, time_unit="us") for f in _FORMATS]
    zoned = [text.str.to_datetime(f, strict=False, time_unit="us", time_zone="UTC") for f in _ZONED]
    digits = pl.when(text.str.contains(r"^\d{9,}(\.\d+)?$")).then(text)
    return pl.coalesce(
        *(moment.dt.epoch("s") for moment in (*naive, *zoned)),
        _from_number(digits.cast(pl.Float64, strict=False)),
    )

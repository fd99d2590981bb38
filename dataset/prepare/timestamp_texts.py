"""Reads dates and times that are written out, a whole column at a time."""

import polars as pl

_DAY_OR_MONTH = r"^(\d{1,2})[/-](\d{1,2})[/-](\d{4})\b"
_TIME, _SECONDS = pl.col("text").str.contains(":"), pl.col("text").str.contains(r"^[^:]*:\d+:")
_HALF_DAY = pl.col("text").str.contains("(?i)[ap]m$")
_ZONE = pl.col("text").str.contains(r":\S*(Z|[+-][\d:]+)$")
_PLAIN = ~_HALF_DAY & ~_ZONE
# Each text is read by the one form that its marks tell. Trying all forms on all texts is slow.
_FORMS = {
    "": ~_TIME,
    " %H:%M": _TIME & _PLAIN & ~_SECONDS,
    " %H:%M:%S%.f": _TIME & _PLAIN & _SECONDS,
    " %I:%M %p": _TIME & _HALF_DAY & ~_SECONDS,
    " %I:%M:%S %p": _TIME & _HALF_DAY & _SECONDS,
    " %H:%M%#z": _ZONE & ~_SECONDS,
    " %H:%M:%S%.f%#z": _ZONE & _SECONDS,
}


def read_dates(texts: pl.Series) -> pl.Series:
    """Unix microseconds (UTC) of texts; null for others than dates, and for ambiguous ones.

    Args:
        texts: ISO 8601, `31.12.2024 14:05` or `12/31/2024 02:05 PM`, without blanks around.
    """
    rows = _ordered(_plain(texts)).to_frame("text")
    moments = [_read(form, marked) for form, marked in _FORMS.items()]
    return rows.select(pl.coalesce(moments)).to_series()


def show_no_order(texts: pl.Series) -> pl.Series:
    """Whether each text is a date of which either of two numbers may be the month."""
    plain = _plain(texts.cast(pl.String).str.strip_chars())
    found = plain.str.contains(_DAY_OR_MONTH).fill_null(value=False)
    return found if _day_first(plain) == _month_first(plain) else found & False


def _plain(texts: pl.Series) -> pl.Series:
    """Texts with one form of blanks and zones, and the year first where it can only be last."""
    return (
        texts.str.replace_all(r",?\s+", " ")
        .str.replace(r"(?i) ?(utc|gmt|z)$", "Z")
        .str.replace(r"^(\d{4})(\d\d)(\d\d)[Tt](\d\d)(\d\d)(\d\d)", "${1}-${2}-${3} ${4}:${5}:${6}")
        .str.replace(r"^([\d./-]{8,10})[Tt](\d)", "${1} ${2}")
        .str.replace(r"^(\d{4})[./](\d{1,2})[./](\d{1,2})\b", "${1}-${2}-${3}")
        .str.replace(r"^(\d{1,2})\.(\d{1,2})\.(\d{4})\b", "${3}-${2}-${1}")
    )


def _day_first(plain: pl.Series) -> bool:
    return (plain.str.extract(_DAY_OR_MONTH, 1).cast(pl.UInt8) > 12).any()


def _month_first(plain: pl.Series) -> bool:
    return (plain.str.extract(_DAY_OR_MONTH, 2).cast(pl.UInt8) > 12).any()


def _ordered(plain: pl.Series) -> pl.Series:
    """Dates with the year first, if the column shows the order of day and month."""
    day, month = _day_first(plain), _month_first(plain)
    if day == month:
        return plain
    return plain.str.replace(_DAY_OR_MONTH, "${3}-${2}-${1}" if day else "${3}-${1}-${2}")


def _read(form: str, marked: pl.Expr) -> pl.Expr:
    """Unix microseconds of the texts of one form."""
    zone = "UTC" if "z" in form else None
    read = (
        pl.when(marked)
        .then("text")
        .str.to_datetime(f"%Y-%m-%d{form}", strict=False, time_unit="us", time_zone=zone)
    )
    return read.dt.epoch("us")

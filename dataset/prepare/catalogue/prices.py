"""Recognises columns of prices in text, such as `€ 12.50`, `12.50 EUR` and `1.234,56`."""

import re
from dataclasses import dataclass, replace

import polars as pl

_CODES = (
    "EUR|USD|GBP|CHF|JPY|CNY|AUD|CAD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|RON|BGN|TRY|RUB|UAH|INR|BRL|MXN|"
    "ZAR|KRW|SGD|HKD|TWD|THB|IDR|MYR|PHP|VND|ILS|AED|SAR|ARS|CLP|COP|EGP|NGN|KES|PKR"
)
_SIGNS = "US\\$|C\\$|A\\$|R\\$|[$€£¥₹₽₺₩₪₫₴₱฿]|kr\\.?|zł|Kč|Ft|Rs\\.?"
_CURRENCY = f"{_CODES}|{_SIGNS}"
_NUMBER = r"-?\d(?:[\d.,'’\s\u00a0\u202f]*\d)?"
_PRICE = rf"^\s*(-)?\s*({_CURRENCY})?\s*({_NUMBER})(?:,-|\.-)?\s*({_CURRENCY})?\s*$"
_SAME = {"€": "EUR", "US$": "USD", "$": "USD", "£": "GBP", "₹": "INR", "Rs": "INR", "Rs.": "INR"}
_GROUPS = r"'’\s\u00a0\u202f"
_POINT = rf"^-?(\d{{1,3}}([,{_GROUPS}]\d{{3}})+|\d+)(\.\d+)?$"
_COMMA = rf"^-?(\d{{1,3}}([.{_GROUPS}]\d{{3}})+|\d+)(,\d+)?$"
_NAMED = re.compile(r"price|cost|amount|msrp|rrp|preis|prix|precio|prezzo", re.IGNORECASE)
_NONE = "none"
_PLACE, _TEXT, _DIGITS, _MINUS = "place", "text", "digits", "minus"
_MARK, _NAME, _AGREES = "mark", "currency", "agrees"
RATE = "RATE"
"""Stands for a rate of exchange in a line that a message offers"""
MOSTLY = 0.8
"""Share of prices in a column from which it counts as one of prices"""
RARE = 100
"""Values of which at most one may differ from the others and count as missing"""


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What was read of a column that looks like prices."""

    numbers: pl.Series | None = None
    """The column as numbers; None if it stays text."""
    reason: str = ""
    """Why it stays text, or what is missing from the numbers; empty if all values agree."""
    place: int = -1
    """Row of the first value that differs; -1 without any."""
    marks: tuple[str, ...] = ()
    """Currencies as they are written, if there are several; those of the most values first."""
    foreign: tuple[str, ...] = ()
    """Those of them that are another currency than that of the most values."""
    comma: bool = False
    """Whether decimals follow a comma."""


def is_named_price(name: str) -> bool:
    """Whether the name of a column says that it has prices."""
    return _NAMED.search(name) is not None


def price_numbers(column: pl.Series) -> Prices | None:
    """A column of strings as prices, if its values are prices of one currency and notation.

    A column counts as one of prices if its name says so, or if most values have a currency. Blank
    values are null, and so is one in `RARE` that differs from all others. Where more differ,
    nothing is guessed, and the column stays text.

    Returns:
        What was read; None for a column that does not look like prices.
    """
    values = _values(column)
    named = is_named_price(column.name) and values[_DIGITS].is_not_null().any()
    stated = (values[_NAME] != _NONE).sum()
    if not len(values) or not (named or stated >= MOSTLY * len(values)):
        return None
    counts = values.drop_nulls(_NAME).group_by(_NAME).len("rows")
    counts = counts.sort("rows", _NAME, descending=[True, False])
    usual = (pl.col(_NAME) == counts[_NAME][0]).fill_null(value=False)
    comma, doubt = _notation(values.filter(usual)[_DIGITS])
    agrees = usual & pl.col(_DIGITS).str.contains(_COMMA if comma else _POINT)
    values = values.with_columns(agrees.fill_null(value=False).alias(_AGREES))
    odd = values.filter(~pl.col(_AGREES))
    marks, foreign = _marks(values, counts[_NAME][0]) if len(counts) > 1 else ((), ())
    place = odd[_PLACE][0] if len(odd) else -1
    found = Prices(place=place, comma=comma, marks=marks, foreign=foreign)
    if doubt or len(odd) * RARE > len(values):
        return replace(found, reason=_reason(values, counts, doubt))
    if len(odd):
        found = replace(found, reason=_missing(values, odd, counts))
    return replace(found, numbers=_numbers(column, values.filter(_AGREES), comma=comma))


def _values(column: pl.Series) -> pl.DataFrame:
    """The values that are not blank: row, text, and what the parts of a price are."""
    parts = pl.col(_TEXT).str.extract_groups(_PRICE).struct
    mark = pl.coalesce(parts.field("2"), parts.field("4"))
    digits = parts.field("3")
    return (
        pl.DataFrame({_TEXT: column.str.strip_chars()})
        .with_row_index(_PLACE)
        .filter(pl.col(_TEXT) != "")
        .with_columns(
            digits.alias(_DIGITS), parts.field("1").is_not_null().alias(_MINUS), mark.alias(_MARK)
        )
        .with_columns(
            pl.when(pl.col(_DIGITS).is_not_null())
            .then(pl.col(_MARK).replace(_SAME).fill_null(_NONE))
            .alias(_NAME)
        )
    )


def _notation(digits: pl.Series) -> tuple[bool, str]:
    """Whether decimals follow a comma, and why that cannot be said; empty if it can."""
    point, comma = digits.str.contains(_POINT), digits.str.contains(_COMMA)
    by_point, by_comma = len(digits.filter(point & ~comma)), len(digits.filter(comma & ~point))
    if not by_point and not by_comma:
        marked = digits.filter(digits.str.contains(r"[.,]"))
        said = f"{marked[0]!r} may have decimals or thousands after its mark" if len(marked) else ""
        return False, said
    if min(by_point, by_comma) * RARE > by_point + by_comma:
        return False, (
            f"its values have both decimal points ({by_point:,}) and decimal commas ({by_comma:,})"
        )
    return by_comma > by_point, ""


def _reason(values: pl.DataFrame, counts: pl.DataFrame, doubt: str) -> str:
    """Why a column that looks like prices stays text."""
    none = values.filter(pl.col(_DIGITS).is_null())
    if len(none) * RARE > len(values) or (len(counts) == 1 and not doubt):
        odd = values.filter(~pl.col(_AGREES))
        return f"{len(odd):,} of {len(values):,} values are no prices, like {odd[_TEXT][0]!r}"
    if len(counts) > 1 and counts["rows"][1:].sum() * RARE > len(values):
        return f"its values have several currencies ({_counted(counts)})"
    return doubt or f"{(~values[_AGREES]).sum():,} of {len(values):,} values differ from the others"


def _missing(values: pl.DataFrame, odd: pl.DataFrame, counts: pl.DataFrame) -> str:
    """What is missing from the numbers."""
    said = f" ({_counted(counts)})" if len(counts) > 1 else ""
    return (
        f"{len(odd):,} of {len(values):,} values {'is' if len(odd) == 1 else 'are'} no price like "
        f"the others{said} and {'counts' if len(odd) == 1 else 'count'} as missing"
    )


def _counted(counts: pl.DataFrame) -> str:
    return ", ".join(f"{name} {rows:,}" for name, rows in counts.iter_rows())


def _marks(values: pl.DataFrame, usual: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Currencies as they are written, and those of them that are not the usual one."""
    found = values.drop_nulls(_MARK).group_by(_MARK, _NAME).len("rows")
    found = found.sort("rows", _MARK, descending=[True, False])
    foreign = found.filter(pl.col(_NAME) != usual)
    return tuple(found[_MARK]), tuple(foreign[_MARK])


def _numbers(column: pl.Series, values: pl.DataFrame, *, comma: bool) -> pl.Series:
    """The column as numbers, from its values that have one notation; null elsewhere."""
    mark = "." if comma else ","
    digits = pl.col(_DIGITS).str.replace_all(rf"[{mark}{_GROUPS}]", "")
    value = digits.str.replace(",", ".", literal=True).cast(pl.Float64)
    signed = pl.when(_MINUS).then(-value).otherwise(value).alias(column.name)
    rows = pl.DataFrame({_PLACE: pl.arange(len(column), dtype=pl.UInt32, eager=True)})
    found = values.select(_PLACE, signed)
    return rows.join(found, on=_PLACE, how="left", maintain_order="left")[column.name]

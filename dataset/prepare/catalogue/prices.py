"""Recognises columns of prices in text, such as `€ 12.50`, `12.50 EUR` and `1.234,56`."""

import re

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
MOSTLY = 0.8
"""Share of prices in a column from which it counts as one of prices"""


def price_numbers(column: pl.Series) -> tuple[pl.Series | None, str | None]:
    """A column of strings as prices, if all of its values are prices of one currency and notation.

    A column counts as one of prices if its name says so, or if most values have a currency. Blank
    values are null.

    Returns:
        The numbers, or None; and why a column that looks like prices stays text, or None.
    """
    text = column.str.strip_chars()
    text = text.filter(text != "")
    parts = text.str.extract_groups(_PRICE).struct.unnest()
    number, currency = parts["3"], parts["2"].fill_null(parts["4"]).replace(_SAME)
    named = _NAMED.search(column.name) is not None and number.is_not_null().any()
    if not len(text) or not (named or currency.count() >= MOSTLY * len(text)):
        return None, None
    reason = _reason(text, number, currency)
    return (_numbers(column, number), None) if reason is None else (None, reason)


def _reason(text: pl.Series, number: pl.Series, currency: pl.Series) -> str | None:
    """Why a column that looks like prices stays text; None if all values agree."""
    if number.null_count():
        odd = text.filter(number.is_null())
        return f"{len(odd):,} of {len(text):,} values are no prices, like {odd[0]!r}"
    if currency.n_unique() > 1:
        found = ", ".join(sorted(mark or "none" for mark in currency.unique().to_list()))
        return f"its values have several currencies ({found})"
    point, comma = number.str.contains(_POINT).all(), number.str.contains(_COMMA).all()
    if point and comma and number.str.contains(r"[.,]").any():
        return f"{text[0]!r} may have decimals or thousands after its mark"
    if not point and not comma:
        return "its values have both decimal points and decimal commas"
    return None


def _numbers(column: pl.Series, number: pl.Series) -> pl.Series:
    """The values of a column whose prices, as text, all have one notation."""
    mark = "," if number.str.contains(_POINT).all() else "."
    parts = pl.col(column.name).str.extract_groups(_PRICE).struct
    digits = parts.field("3").str.replace_all(rf"[{mark}{_GROUPS}]", "")
    value = digits.str.replace(",", ".", literal=True).cast(pl.Float64)
    negative = parts.field("1").is_not_null()
    return column.to_frame().select(
        pl.when(negative).then(-value).otherwise(value).alias(column.name)
    )[column.name]

"""Makes every column of the items one that texts or filters can use, or says why it cannot."""

from collections.abc import Iterable

import polars as pl

from dataset.plain_text import plain_text
from dataset.prepare.attributes import kind_of
from dataset.prepare.catalogue.number_notes import Origin, note_on_numbers, note_on_prices
from dataset.prepare.catalogue.prices import price_numbers
from dataset.prepare.schema import ITEM, STRINGS, TITLE, is_string
from dataset.prepare.validation import Findings
from shortlist_client.api.event import ID_LENGTH


def usable(items: pl.DataFrame, findings: Findings, origin: Origin | None = None) -> pl.DataFrame:
    """The items with usable columns alone; adds a note for each column that is left out.

    Fields of structs become columns (`meta.brand`), strings of every type become strings, HTML is
    removed from texts, and columns of prices become numbers.

    Args:
        items: At least `item_id` and `title`.
        findings: Gets the notes.
        origin: Where the rows come from; by default that is unknown.
    """
    items, origin = _unnested(items, findings), origin or Origin.of(items)
    columns = []
    for column in items:
        if column.name == ITEM:
            columns.append(column)
            continue
        plain, reason = _plain(_finite(column, findings))
        if plain is None:
            findings.unused[column.name] = reason
            findings.notes.append(f"column {column.name!r} is not used: {reason}")
            continue
        if is_string(plain.dtype) and column.name != TITLE:
            plain, note = _numbers(plain, origin)
            findings.notes.extend([note] if note else [])
        columns.append(plain)
    return pl.DataFrame(columns)


def _numbers(text: pl.Series, origin: Origin) -> tuple[pl.Series, str]:
    """A column of text as numbers if they are prices, and what there is to say of it."""
    prices = price_numbers(text)
    if prices is None:
        return text, note_on_numbers(text, origin)
    return text if prices.numbers is None else prices.numbers, note_on_prices(text, prices, origin)


def _unnested(items: pl.DataFrame, findings: Findings) -> pl.DataFrame:
    """The items with each field of a struct as a column of its own, named by its path."""
    while structs := [c.name for c in items if isinstance(c.dtype, pl.Struct)]:
        columns: list[pl.Series] = []
        for column in items:
            if column.name not in structs:
                columns.append(column)
                continue
            fields = column.struct.unnest()
            columns += [fields[name].alias(f"{column.name}.{name}") for name in fields.columns]
        items = pl.DataFrame(_distinct(columns, findings))
    return items


def _distinct(columns: Iterable[pl.Series], findings: Findings) -> list[pl.Series]:
    kept: dict[str, pl.Series] = {}
    for column in columns:
        if column.name in kept:
            findings.notes.append(f"column {column.name!r} is not used: another one has its name")
        else:
            kept[column.name] = column
    return list(kept.values())


def _finite(column: pl.Series, findings: Findings) -> pl.Series:
    """The column with null for infinities and NaN, which no text shows and no request can name."""
    if not column.dtype.is_float():
        return column
    infinite = int(column.is_infinite().sum())
    if infinite:
        findings.notes.append(f"column {column.name!r}: {infinite:,} infinite values count as none")
    return pl.select(pl.when(column.is_finite()).then(column).alias(column.name)).to_series()


def _plain(column: pl.Series) -> tuple[pl.Series | None, str]:
    """A column in a usable type, or None and the reason."""
    if isinstance(column.dtype, pl.Array):
        column = column.arr.to_list()
    kind = column.dtype
    text = text_of(column)
    if not column.name.strip():
        reason = "it has no name"
    elif len(column.name) > ID_LENGTH:
        reason = f"its name has more than {ID_LENGTH} characters"
    elif column.null_count() == len(column) and column.name != TITLE:
        reason = "it has no values"
    elif text is None and isinstance(kind, pl.Binary):
        reason = "its bytes are no UTF-8 text"
    elif text is None and kind_of(kind) is None:
        reason = f"neither texts nor filters can use values of type {kind}"
    else:
        return (column if text is None else text), ""
    return None, reason


def text_of(column: pl.Series) -> pl.Series | None:
    """A column of strings or lists of strings, without HTML; None of other types."""
    kind = column.dtype
    if is_string(kind) or isinstance(kind, pl.Binary):
        try:
            text = column.cast(pl.String)
        except pl.exceptions.PolarsError:
            return None
        if not text.str.contains("[<&\0]").any():
            return text
        return text.map_elements(plain_text, return_dtype=pl.String)
    if isinstance(kind, pl.List) and isinstance(kind.inner, (*STRINGS, pl.Null)):
        return _plain_list(column.cast(pl.List(pl.String)))
    return None


def _plain_list(column: pl.Series) -> pl.Series:
    if not column.explode().str.contains("[<&\0]").any():
        return column
    text = pl.element().map_elements(plain_text, return_dtype=pl.String)
    return column.list.eval(text)

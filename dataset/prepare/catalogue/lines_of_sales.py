"""Prepares the columns of lines that become items: numbers in text, and columns of the events."""

from collections.abc import Collection
from dataclasses import dataclass

import polars as pl

from dataset.prepare.catalogue.item_columns import text_of
from dataset.prepare.catalogue.number_notes import Origin, note_on_prices, odd_numbers
from dataset.prepare.catalogue.prices import is_named_price, price_numbers
from dataset.prepare.schema import ITEM, OF_INTERACTIONS, TITLE, is_string
from dataset.prepare.validation import Findings

EVIDENCE = 20
"""Rows of items with several rows, below which nothing is said of a column"""
STEADY = 0.05
"""Share of pairs of an item's rows that may differ in any attribute"""
UNRELATED = 0.7
"""How often an item's rows differ, relative to any two rows, from which a column is the event's"""
OF_EVENT = "it varies between the lines of an item"


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Rows to merge, with prices in text as numbers."""

    rows: pl.DataFrame
    dated: frozenset[str] = frozenset()
    """Columns of text that are merged by time, as numbers are."""
    prices: frozenset[str] = frozenset()
    """Columns of prices, by name or by their values."""


def with_numbers(rows: pl.DataFrame, findings: Findings, origin: Origin) -> Lines:
    """Recognises prices and numbers in text before rows are merged, so that the newest counts.

    Prices that do not agree, and numbers in text, stay text.

    Args:
        rows: At least `item_id` and `title`.
        findings: Gets the notes on prices.
        origin: Where the rows come from.
    """
    columns, dated, prices = list[pl.Series](), set[str](), set[str]()
    for column in rows:
        text = None if column.name in (ITEM, *OF_INTERACTIONS) else text_of(column)
        text = None if text is None or not is_string(text.dtype) else text
        found = None if text is None or column.name == TITLE else price_numbers(text)
        if is_named_price(column.name) or found is not None:
            prices.add(column.name)
        if text is None:
            columns.append(column)
        elif found is not None and found.numbers is not None:
            columns.append(found.numbers)
            note = note_on_prices(text, found, origin)
            findings.notes.extend([note] if note else [])
        else:
            columns.append(text)
            if found is not None or (column.name != TITLE and odd_numbers(text) is not None):
                dated.add(column.name)
    return Lines(rows=pl.DataFrame(columns), dated=frozenset(dated), prices=frozenset(prices))


def columns_of_events(rows: pl.DataFrame, attributes: Collection[str]) -> list[str]:
    """Columns that say little about the item, such as a quantity or the customer's country.

    Two rows of one item differ there nearly as often as any two rows. Pairs of an item's rows count
    by its number of rows, so that a frequent item does not decide alone.

    Args:
        rows: Ids as text, several rows an item.
        attributes: Columns that are of the item, however much they vary.
    """
    kept = (ITEM, TITLE, *OF_INTERACTIONS, *attributes)
    names = [
        name for name, kind in rows.schema.items() if name not in kept and not kind.is_nested()
    ]
    return [name for name in names if _is_of_event(rows.select(ITEM, name).rename({name: "value"}))]


def _is_of_event(rows: pl.DataFrame) -> bool:
    if rows.schema["value"].is_float():
        rows = rows.with_columns(pl.col("value").fill_nan(None))
    counts = rows.drop_nulls("value").group_by(ITEM, "value").len("times")
    counts = counts.with_columns(pl.col("times").cast(pl.Float64))
    items = counts.group_by(ITEM).agg(
        n=pl.col("times").sum(), equal=(pl.col("times") * (pl.col("times") - 1)).sum()
    )
    items = items.filter(pl.col("n") > 1)
    n, times = pl.col("n"), pl.col("times")
    rows_of_items, within = items.select(
        n.sum(), within=1 - (pl.col("equal") / (n - 1)).sum() / n.sum()
    ).row(0)
    if rows_of_items < EVIDENCE:
        return False
    values = counts.join(items, on=ITEM, how="semi").group_by("value").agg(times.sum())
    pairs = times.sum() * (times.sum() - 1)
    anywhere = values.select(1 - (times * (times - 1)).sum() / pairs).item()
    return bool(within > STEADY and within >= UNRELATED * anywhere)


def note_on_events(names: Collection[str], origin: Origin) -> str:
    """What is said of columns that do not become attributes; empty for none."""
    theirs = ", ".join(repr(origin.names.get(name, name)) for name in names)
    return (
        f"columns without a use: {theirs}; their values vary between the lines of an item, so they "
        "are no attributes of it; attributes that vary, such as a stock, need a table of items"
        if names
        else ""
    )

"""Cuts texts that are longer than an item of a server may have."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

import polars as pl

from dataset.prepare.schema import ITEM, TITLE, is_string
from dataset.prepare.validation import Table, reading
from shortlist_client.api.item import TEXT_BYTES, TITLE_BYTES

logger = logging.getLogger(__name__)


def cut_table(items: Table) -> tuple[Table, Mapping[str, int]]:
    """The items with their texts cut, and the number of cut texts by column; logs the numbers."""
    with reading(items.path):
        columns = long_columns(items.frame)
    for name, rows in columns.items():
        logger.warning(
            "%s: cut %d texts of column %r after %d bytes", items.path, rows, name, most_bytes(name)
        )
    return replace(items, frame=cut(items.frame, columns)), columns


def long_columns(items: pl.LazyFrame) -> dict[str, int]:
    """Number of texts that are too long, by column; columns without one are left out."""
    names = [name for name, kind in items.collect_schema().items() if is_string(kind)]
    lengths = {name: pl.col(name).cast(pl.String).str.len_bytes() for name in names if name != ITEM}
    counts = items.select(**{n: (size > most_bytes(n)).sum() for n, size in lengths.items()})
    return {name: rows for name, rows in counts.collect().row(0, named=True).items() if rows}


def cut(items: pl.LazyFrame, columns: Mapping[str, int]) -> pl.LazyFrame:
    """The items with the texts of these columns cut, each at the end of a character."""
    return items.with_columns(
        pl.col(name)
        .cast(pl.String)
        .map_elements(_head(most_bytes(name)), return_dtype=pl.String, skip_nulls=True)
        for name in columns
    )


def most_bytes(name: str) -> int:
    """Maximum size of a text of a column, bytes of UTF-8."""
    return TITLE_BYTES if name == TITLE else TEXT_BYTES


def _head(most: int) -> Callable[[str], str]:
    return lambda text: text.encode()[:most].decode(errors="ignore")

"""A shop without interactions, such as a new one: its items alone are learnt from."""

from dataclasses import replace
from pathlib import Path

import polars as pl

from dataset.prepare.schema import ITEM, TIME, USER
from dataset.prepare.validation import Table, reading

EMPTY = pl.LazyFrame(schema={USER: pl.String, ITEM: pl.String, TIME: pl.Int64})
"""Canonical interactions without rows"""
NOTE = (
    "there are no interactions, so that items are told apart by their texts alone; put "
    "interactions.parquet or interactions.csv beside the items as soon as there are any"
)


def absent(path: Path) -> Table:
    """The interactions of a folder that has no file of them.

    Args:
        path: Where the file would be; names the table in messages.
    """
    return Table(frame=EMPTY, path=path, files=(), kind="none")


def has_rows(table: Table) -> bool:
    """Whether a table has a row.

    Raises:
        InputError: it cannot be read.
    """
    with reading(table.path):
        return bool(table.frame.select(pl.len()).head(1).collect().item())


def emptied(table: Table) -> Table:
    """A table without rows in canonical form, whatever its columns."""
    return replace(table, frame=EMPTY)

"""Writes the postings of the items' typed columns, for filters."""

import logging
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dataset.attribute_kind import Kind
from dataset.postings import KeywordPostings, OrderedPostings, Postings, save_postings
from dataset.prepare.schema import ITEM, is_string, is_string_list

logger = logging.getLogger(__name__)
_ROW, _VALUE = "row", "value"


def kind_of(kind: pl.DataType) -> Kind | None:
    """Kind of attribute of a column type; None if filters cannot use it."""
    if is_string(kind) or is_string_list(kind):
        return "keyword"
    if isinstance(kind, pl.Boolean):
        return "boolean"
    if isinstance(kind, pl.Date | pl.Datetime):
        return "time"
    return "number" if kind.is_numeric() else None


def save_attributes(folder: Path, items: pl.DataFrame) -> dict[str, Kind]:
    """Write the postings of every column that filters can use.

    Args:
        folder: Folder of the data stage; the postings go into `attributes/` below it.
        items: One row per item, in the order of the items; nulls, NaN and empty strings are no
            values.

    Returns:
        Kind of every attribute, by name.
    """
    kinds = {
        name: kind
        for name, column in items.schema.items()
        if name != ITEM and (kind := kind_of(column)) is not None
    }
    save_postings(folder, kinds, [_postings(items[name], kind) for name, kind in kinds.items()])
    return kinds


def numbers(column: pl.Series) -> pl.Series:
    """A numeric column in the type that filters compare: Int64, Float32 or Float64.

    Whole numbers keep 64 bits; a column with one beyond them becomes Float64, with a warning.
    """
    kind = column.dtype
    if kind.is_integer() or (isinstance(kind, pl.Decimal) and kind.scale == 0):
        whole = column.cast(pl.Int64, strict=False)
        if whole.null_count() == column.null_count():
            return whole
        logger.warning(
            "column %r has whole numbers of more than 64 bits; filters compare their first 15 "
            "digits; give them as text to compare them whole",
            column.name,
        )
    return column.cast(pl.Float32 if kind == pl.Float32 else pl.Float64)


def _postings(column: pl.Series, kind: Kind) -> Postings:
    return _ordered(column) if kind in ("number", "time") else _keywords(column.rename(_VALUE))


def _keywords(column: pl.Series) -> KeywordPostings:
    frame = column.to_frame().with_row_index(_ROW)
    if is_string_list(column.dtype):
        frame = frame.explode(_VALUE)
    text = pl.col(_VALUE).cast(pl.String)  # booleans become `false` and `true`
    pairs = frame.select(_ROW, text).filter(pl.col(_VALUE) != "").unique().sort(_VALUE, _ROW)
    runs = pairs[_VALUE].rle().struct.unnest()
    starts = np.concatenate([[0], np.cumsum(runs["len"].to_numpy())]).astype(np.int64)
    return KeywordPostings.of(runs["value"].to_list(), starts, pairs[_ROW].to_numpy())


def _ordered(column: pl.Series) -> OrderedPostings:
    if column.dtype.is_temporal():
        values = column.dt.epoch("us").cast(pl.Int64)
    else:
        values = numbers(column)
        values = values.fill_nan(None) if values.dtype.is_float() else values
    rows: NDArray[np.int64] = np.flatnonzero(values.is_not_null().to_numpy())
    return OrderedPostings.of(values.drop_nulls().to_numpy(), rows)

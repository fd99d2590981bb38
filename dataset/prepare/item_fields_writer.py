"""Converts rows of an items table to texts and attributes, as plain JSON values."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from dataset.arrays import StringColumn
from dataset.item_fields import FIELDS
from dataset.prepare.attributes import kind_of
from dataset.prepare.schema import ITEM, TITLE, is_string, is_string_list
from dataset.prepare.text_lengths import cut, long_columns
from dataset.prepare.validation import InputError
from shortlist_client.api.item import ITEM_BYTES, TITLE_BYTES

ESCAPED = 6
"""Most bytes of a character in JSON."""
ROWS = 10_000
"""Rows of a table that are Python objects at a time"""


def fields_of(items: pl.DataFrame) -> Iterator[dict[str, dict[str, Any]]]:
    """Yield `texts` and `attributes` of every row.

    Texts are the columns of strings and of lists of strings, except id and title. Attributes are
    all other columns that filters can use; times are in ISO 8601. Nulls, NaN, infinities, empty
    strings and empty lists are left out. A single-precision number keeps its shortest decimal form,
    5.99 and not 5.989999771118164.
    """
    kinds = {name: kind for name, kind in items.schema.items() if name not in (ITEM, TITLE)}
    texts = [name for name, kind in kinds.items() if is_string(kind) or is_string_list(kind)]
    typed = [name for name, kind in kinds.items() if name not in texts and kind_of(kind)]
    columns = [_plain(name, kinds[name]) for name in (*texts, *typed)]
    for part in items.select(ITEM, *columns).iter_slices(ROWS):
        for row in part.iter_rows(named=True):
            known = {name: value for name, value in row.items() if value not in (None, "", [])}
            yield {
                "texts": {name: known[name] for name in texts if name in known},
                "attributes": {name: _json(known[name]) for name in typed if name in known},
            }


def save_fields(folder: Path, items: pl.DataFrame) -> None:
    """Write the fields of every item for `dataset.item_fields`.

    Args:
        folder: Folder of the data stage.
        items: One row per item, in the order of the items; may lack titles.

    Raises:
        InputError: the fields of an item are together larger than a server accepts; names it.
    """
    lines = [json.dumps(fields, ensure_ascii=False) for fields in fields_of(items)]
    titles = items[TITLE] if TITLE in items.columns else [""] * len(items)
    for item_id, title, line in zip(items[ITEM], titles, lines, strict=True):
        if ESCAPED * (len(line) + TITLE_BYTES) > ITEM_BYTES:
            size = len(json.dumps({"title": title, **json.loads(line)}))
            if size > ITEM_BYTES:
                raise InputError(
                    f"fields of item {item_id!r} must have at most {ITEM_BYTES:,} bytes together, "
                    f"as JSON, got {size:,}"
                )
    StringColumn.save(folder, FIELDS, lines)


def read_items(path: Path) -> tuple[int, Iterator[dict[str, Any]]]:
    """Read a Parquet file in the form of `items.parquet`; texts are cut as in the data stage.

    Returns:
        Number of items, and an iterator over their `item_id`, `title`, `texts` and `attributes`.

    Raises:
        ValueError: the file is no Parquet file or lacks a column; names the column.
        OSError: the file cannot be read.
    """
    try:
        items = pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{path} must be a Parquet file: {error}") from error
    for name in (ITEM, TITLE):
        if name not in items.columns:
            raise ValueError(f"{path} must have a column {name!r}, got {', '.join(items.columns)}")
    items = cut(items.lazy(), long_columns(items.lazy())).collect()
    named = items.select(pl.col(ITEM, TITLE).cast(pl.String).fill_null(""))
    rows = zip(named.iter_rows(named=True), fields_of(items), strict=True)
    return len(items), ({**name, **fields} for name, fields in rows)


def _plain(name: str, kind: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if is_string(kind):
        return column.cast(pl.String)
    if is_string_list(kind):
        return column.list.drop_nulls()
    if kind.is_float():
        finite = pl.when(column.is_finite()).then(column)
        return finite.cast(pl.String).cast(pl.Float64) if kind == pl.Float32 else finite
    if kind.is_decimal():
        return column.cast(pl.Float64)
    return column


def _json(value: Any) -> Any:
    return value if isinstance(value, bool | int | float) else value.isoformat()

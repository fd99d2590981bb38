"""Converts rows of an items table to texts and attributes, as plain JSON values."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from dataset.arrays import StringColumn
from dataset.config import DataConfig
from dataset.item_fields import FIELDS
from dataset.prepare.attributes import kind_of, numbers
from dataset.prepare.catalogue.canonical_items import canonical_items
from dataset.prepare.column_guesses import mapping_line
from dataset.prepare.schema import ITEM, TITLE, is_string, is_string_list
from dataset.prepare.sources import DEFAULT, opened_table
from dataset.prepare.tables.files import files_at
from dataset.prepare.text_lengths import cut, long_columns
from dataset.prepare.validation import InputError, require_unbroken
from shortlist_client.api.item import ITEM_BYTES, TITLE_BYTES

logger = logging.getLogger(__name__)
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
    numeric = [name for name, kind in items.schema.items() if kind.is_numeric()]
    items = items.with_columns(numbers(items[name]) for name in numeric)
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
        InputError: the fields of an item are too large, see `field_lines`.
    """
    StringColumn.save(folder, FIELDS, field_lines(items))


def field_lines(items: pl.DataFrame) -> list[str]:
    """The fields of every item as JSON.

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
                    f"as JSON, got {size:,}; shorten its texts, or leave columns out by `ignore`"
                )
    return lines


def read_items(path: Path, *, config: DataConfig = DEFAULT) -> tuple[int, Iterator[dict[str, Any]]]:
    """Read a file of items as the data stage does: columns, types, plain texts, cut lengths.

    Args:
        path: File, folder of parts or glob, in the form of the data stage's items.
        config: Names of columns, delimiter, and what to do about duplicate ids.

    Returns:
        Number of items, and an iterator over their `item_id`, `title`, `texts` and `attributes`.

    Raises:
        InputError: the file breaks a rule of items; names all of them.
        OSError: the file cannot be read.
    """
    table = canonical_items(opened_table(files_at(path), config), config.duplicates, config.actions)
    line = mapping_line(table)
    require_unbroken(table, lines=[f"to map them: {line}"] if line else [])
    for note in table.findings.notes:
        logger.warning("%s: %s", path, note)
    items = cut(table.frame, long_columns(table.frame)).collect()
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
    if isinstance(kind, pl.Datetime) and kind.time_zone:
        return column.dt.convert_time_zone("UTC")  # a zone may reach beyond the years of Python
    return column


def _json(value: Any) -> Any:
    return value if isinstance(value, bool | int | float) else value.isoformat()

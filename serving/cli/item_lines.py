"""Reads items from a file: all are checked before any is sent."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from dataset.config import DataConfig, Duplicates
from serving.api.limits import DEFAULT_LIMITS
from serving.api.validation import check_item
from serving.catalogue.plain_item import plain_item
from serving.cli.numbered import Lines, json_object, require_names
from shortlist_client.api.item import Item

FIELDS = tuple(one.name for one in fields(Item))


def items_of_file(path: Path, config: DataConfig) -> list[Item]:
    """Items of a file in a form of the data stage's items, or of Upsert's JSON.

    Upsert's JSON has `texts` and `attributes` as objects in each line.

    Args:
        path: The file, a folder of parts or a glob.
        config: Names of columns, delimiter, and what to do about duplicate ids.

    Raises:
        ValueError: a line is no item, or an id comes twice; names the lines.
        OSError: the file cannot be read.
    """
    from dataset.prepare.item_fields_writer import read_items
    from dataset.prepare.tables.files import files_at
    from dataset.prepare.tables.scan import lines_of

    files = files_at(path)
    if files.format == "jsonl" and not config.columns:
        several = len(files.parts) > 1
        named = [
            (f"{part.name}, line {number}" if several else f"line {number}", line)
            for part, number, line in lines_of(files)
        ]
        if not named or _is_nested(named[0][1]):
            return _checked(path, named, config.duplicates)
    _, rows = read_items(path, config=config)
    named_rows = ((f"item {row['item_id']!r}", row) for row in rows)
    return _checked(path, named_rows, config.duplicates)


def _is_nested(line: str) -> bool:
    """Whether a line is in the form of Upsert, and not a row of a table."""
    try:
        found = json.loads(line)
    except ValueError:
        return True  # its error names the line
    return not isinstance(found, dict) or set(found) <= set(FIELDS)


def _checked(
    path: Path, rows: Iterable[tuple[str, str | dict[str, Any]]], duplicates: Duplicates
) -> list[Item]:
    """Items of lines; refuses lines that break a rule, and names them."""
    lines, items, places = Lines(str(path), "item"), dict[str, Item](), dict[str, str]()
    for place, row in rows:
        item = lines.convert(place, partial(_item, row))
        if item is None:
            continue
        first = places.setdefault(item.item_id, place)
        if first != place and duplicates == "refuse":
            lines.refuse(place, f"item_id must come once, got {item.item_id!r} as in {first}")
        if first == place or duplicates == "last":
            items[item.item_id] = item
    lines.finish()
    return list(items.values())


def _item(row: str | Mapping[str, Any]) -> Item:
    given = json_object(row) if isinstance(row, str) else row
    require_names(given, FIELDS)
    for name in ("item_id", "title"):
        if name not in given:
            raise ValueError(f"{name} must exist, got the fields {', '.join(given)}")
    item = Item(**given)
    check_item(plain_item(item), DEFAULT_LIMITS)
    return item

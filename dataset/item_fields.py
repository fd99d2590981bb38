"""Texts and attributes of the items as the shop gave them, by item row."""

import json
from pathlib import Path
from typing import Any

from dataset.arrays import StringColumn

FIELDS = "fields"
"""Name of the column with one JSON object per item"""


class ItemFields:
    """Texts and attributes of all items."""

    def __init__(self, lines: StringColumn) -> None:
        self._lines = lines

    @classmethod
    def load(cls, folder: Path) -> "ItemFields":
        """Memory-map the fields that `dataset.prepare.item_fields_writer` wrote."""
        return cls(StringColumn.load(folder, FIELDS))

    def __getitem__(self, row: int) -> dict[str, Any]:
        """`texts` and `attributes` of an item, by name, in the form that `Upsert` takes."""
        fields: dict[str, Any] = json.loads(self._lines[row])
        return fields

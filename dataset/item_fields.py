"""What a shop said of the items of a release, looked up by row; no data frames."""

import json
from pathlib import Path
from typing import Any

from dataset.arrays import StringColumn

FIELDS = "fields"
"""Column of a data stage, of one JSON object an item"""


class ItemFields:
    """Texts and attributes of every item."""

    def __init__(self, lines: StringColumn) -> None:
        self._lines = lines

    @classmethod
    def load(cls, folder: Path) -> "ItemFields":
        """Map what `dataset.prepare.item_fields_writer` wrote into a finished data stage."""
        return cls(StringColumn.load(folder, FIELDS))

    def __getitem__(self, row: int) -> dict[str, dict[str, Any]]:
        """`texts` and `attributes` of an item, by name; as upserting takes them."""
        fields: dict[str, dict[str, Any]] = json.loads(self._lines[row])
        return fields

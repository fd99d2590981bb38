"""Why an item is in an answer: what each field of its text did to the score of the towers.

An item's place is what its text says and what its buyers did, added and then made of unit length.
Direction and length of the sum are kept, and the tower reads the text again: so what the buyers did
is known as well, and where the item would lie if its text lacked a field.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dataset.config import DataConfig
from dataset.rendering import item_text, text_fields
from index.live import LiveIndex
from index.sources import Rows, Scores
from serving.catalogue import Catalogue
from serving.changes import Item, data_config, fields_of
from serving.embedding import TEXT_COST
from serving.pace import Pace
from serving.query import Ask, TextReason
from towers.export import LENGTHS
from towers.texts import TextsReader

FIELDS = 4
"""That an item has, about"""
WHOLE, SHORTEST = "", 1e-6


def text_reasons_cost(ask: Ask) -> int:
    """Items of a history that take as long to read as the texts of an answer's items, about."""
    return TEXT_COST * ask.query.limit * (1 + FIELDS) if ask.query.explain_texts else 0


@dataclass(frozen=True, kw_only=True)
class TextReasons:
    """Tells what fields did to scores."""

    texts: TextsReader
    lengths: NDArray[np.float32]
    """(items of the release,): of the sums that became their embeddings"""
    config: DataConfig
    """How texts were rendered"""
    pace: Pace = field(default_factory=Pace)
    """How long it takes, by the number of items"""

    @classmethod
    def load(cls, root: Path, texts: TextsReader) -> "TextReasons":
        """Load what the towers stage kept for this.

        Args:
            root: Folder of a dataset's stages.
            texts: Its item tower before texts.
        """
        lengths = np.load(root / "towers" / LENGTHS, mmap_mode="r")
        return cls(texts=texts, lengths=lengths, config=data_config(root))

    def __call__(
        self, user: Scores, rows: Rows, catalogue: Catalogue, index: LiveIndex
    ) -> list[tuple[TextReason, ...]]:
        """By how much cosines would be lower without some field of an item's text.

        Args:
            user: (dimension,) of unit length.
            rows: Items, at least one.
            catalogue: Knows their fields.
            index: Knows their embeddings.

        Returns:
            Of each item its fields, what helped most first.
        """
        started = time.perf_counter()
        rendered = [self._rendered(catalogue.item(row)) for row in rows.tolist()]
        distinct = list(dict.fromkeys(text for texts in rendered for text in texts.values()))
        placed = dict(zip(distinct, self.texts.placed(distinct), strict=True))
        reasons = []
        for row, texts, embedding in zip(rows.tolist(), rendered, index.vectors(rows), strict=True):
            text = texts.pop(WHOLE)
            learnt = self._learnt(row, text, catalogue)
            length = np.linalg.norm(placed[text]) if learnt is None else self.lengths[learnt]
            buyers = length * embedding - placed[text]
            moved = buyers + np.stack([placed[without] for without in texts.values()])
            moved /= np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), SHORTEST)
            reasons.append(_sorted(list(texts), user @ embedding - moved @ user))
        self.pace.book(len(rows), time.perf_counter() - started)
        return reasons

    def _rendered(self, item: Item) -> dict[str, str]:
        """Text of an item without each of its fields, by name; and whole."""
        fields = fields_of(item, self.config)
        return {
            left_out: item_text({k: v for k, v in fields.items() if k != left_out}, self.config)
            for left_out in (WHOLE, *text_fields(fields, self.config.fields))
        }

    def _learnt(self, row: int, text: str, catalogue: Catalogue) -> int | None:
        """Row of the release whose embedding an item has; None for what its text alone says."""
        if row < len(self.lengths):
            return row
        base = catalogue.base_row(catalogue.item_id(row))
        return base if base is not None and catalogue.text(base) == text else None


def _sorted(names: Sequence[str], lower: Scores) -> tuple[TextReason, ...]:
    order = np.argsort(-lower, kind="stable").tolist()
    return tuple(TextReason(field=names[at], contribution=float(lower[at])) for at in order)

"""Why an item is in an answer: what each field of its text did to the score of the towers.

An item's embedding is the sum, made of unit length, of what its text says and what its buyers did.
Direction and length of the sum are kept, and the item tower reads the text again: so what the
buyers did is known as well, and where the item would lie if its text lacked a field (feature
ablation; Covert et al., "Explaining by removing", JMLR 2021).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dataset.config import DataConfig
from dataset.item_text import SEPARATOR, joined, text_lines
from index.live_index import LiveIndex
from index.ranked_list import Rows, Scores
from lineage.stages import LENGTHS
from serving.api.request import Request
from serving.catalogue.catalogue import Catalogue
from serving.catalogue.item_text import data_config, fields_of
from shortlist_client.api.answer import TextReason
from shortlist_client.api.item import Item
from towers.item_encoder import TextsReader

TEXT_COST = 16
"""Items of a history that take about as long to encode as one text"""
EXPLAINED = 20
"""Items of an answer that are told of, the first ones"""
FIELDS = 8
"""Fields of an item that are told of, the most important ones"""
USUAL_FIELDS = 4
"""That an item has, about"""
SHORTEST = 1e-6
"""Length of a sum that has none"""


def text_reasons_cost(request: Request) -> int:
    """Items of a history that take as long to read as the texts of an answer's items, about."""
    items = min(request.limit, EXPLAINED, len(request.candidates) or EXPLAINED)
    return TEXT_COST * items * (1 + USUAL_FIELDS) if request.wishes.explain_texts else 0


@dataclass(frozen=True, kw_only=True)
class TextReasons:
    """Tells what fields did to scores."""

    texts: TextsReader
    lengths: NDArray[np.float32]
    """(items of the release,): of the sums that became their embeddings"""
    config: DataConfig
    """How texts were rendered"""

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
            Of each item the fields that are read, what helped most first.
        """
        rendered = [self._rendered(catalogue.item(row)) for row in rows.tolist()]
        distinct = list({text: None for whole, cut in rendered for text in (whole, *cut.values())})
        said = dict(zip(distinct, self.texts.unnormalised(distinct), strict=True))
        reasons = []
        for row, (whole, cut), embedding in zip(
            rows.tolist(), rendered, index.vectors(rows), strict=True
        ):
            learnt = catalogue.learnt_row(catalogue.item_id(row), whole)
            length = np.linalg.norm(said[whole]) if learnt is None else self.lengths[learnt]
            buyers = length * embedding - said[whole]
            sums = buyers + np.stack([said[text] for text in (whole, *cut.values())])
            sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), SHORTEST)
            reasons.append(_sorted(list(cut), (sums[0] - sums[1:]) @ user))
        return reasons

    def _rendered(self, item: Item) -> tuple[str, dict[str, str]]:
        """Text of an item, and without each of the fields that it begins with, by name."""
        lines = text_lines(fields_of(item, self.config), self.config)
        whole = joined(lines.values(), self.config)
        ends = accumulate(len(line) + len(SEPARATOR) for line in lines.values())
        starts = dict(zip(lines, (0, *ends), strict=False))
        read = [name for name in lines if starts[name] < len(whole)][:FIELDS]
        return whole, {
            name: joined((line for other, line in lines.items() if other != name), self.config)
            for name in read
        }


def _sorted(names: Sequence[str], lower: Scores) -> tuple[TextReason, ...]:
    order = np.argsort(-lower, kind="stable").tolist()
    return tuple(TextReason(field=names[at], contribution=float(lower[at])) for at in order)

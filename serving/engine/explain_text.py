"""Explains items by the fields of their texts.

An item's embedding is the normalised sum of a text embedding and a residual learnt from purchases.
The release stores the direction (the embedding) and the length of the sum. The item tower encodes
the text again; the sum minus the text embedding gives the residual. If the text changed, the
residual makes up for a part of the change (`TextEncoder.edited`). The residual plus the embedding
of a text without one field gives the item's embedding without that field (feature ablation; Covert
et al., "Explaining by removing", JMLR 2021).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dataset.config import DataConfig
from dataset.item_text import SEPARATOR, joined, text_lines
from index.arrays import Rows, Scores
from index.live_index import LiveIndex
from lineage.arrays import read_array
from lineage.stages import LENGTHS, TOWERS
from serving.api.request import Request
from serving.catalogue.catalogue import Catalogue
from serving.catalogue.item_text import data_config, fields_of
from serving.engine.pieces import Pieces
from shortlist_client.api.answer import TextReason
from shortlist_client.api.item import Item
from towers.item_encoder import TextEncoder

TEXT_COST = 16
"""Approximate cost of encoding one text, in history items"""
EXPLAINED_ITEMS = 20
"""Items at the head of an answer that get text reasons"""
FIELDS = 8
"""Most important fields of an item that get a reason, at most"""
TEXTS_AT_ONCE = 16
"""Texts that are encoded in one piece, at most"""
USUAL_FIELDS = 4
"""Typical number of fields of an item"""
SHORTEST = 1e-6
"""Lower bound on the length of a sum; avoids division by zero"""


def text_reasons_cost(request: Request) -> int:
    """Approximate extra work of the text reasons, in items as for `Engine.cost`."""
    items = min(request.limit, EXPLAINED_ITEMS, len(request.candidates) or EXPLAINED_ITEMS)
    return TEXT_COST * items * (1 + USUAL_FIELDS)


@dataclass(frozen=True, kw_only=True)
class TextReasons:
    """Computes the contributions of text fields to scores."""

    texts: TextEncoder
    lengths: NDArray[np.float32]
    """(items of the release,) lengths of the sums before normalisation"""
    config: DataConfig
    """Configuration that rendered the texts"""

    @classmethod
    def load(cls, root: Path, texts: TextEncoder) -> "TextReasons":
        """Load the lengths that the towers stage stored.

        Args:
            root: Folder of a dataset's stages.
            texts: Encodes raw texts with the item tower.
        """
        lengths = read_array(root / TOWERS / LENGTHS)
        return cls(texts=texts, lengths=lengths, config=data_config(root))

    def __call__(
        self, user: Scores, rows: Rows, catalogue: Catalogue, index: LiveIndex
    ) -> Pieces[list[tuple[TextReason, ...]]]:
        """By how much cosines fall when one field of an item's text is removed, in pieces.

        Args:
            user: (dimension,) user embedding of unit length.
            rows: Item rows, at least one.
            catalogue: Catalogue with the fields of the items.
            index: Index with the embeddings of the items.

        Returns:
            For each item its fields within the token budget, largest contribution first.
        """
        rendered = [self._rendered(catalogue.item(row)) for row in rows.tolist()]
        learnt = [catalogue.base_row(catalogue.item_id(row)) for row in rows.tolist()]
        before = {row: catalogue.text(row) for row in learnt if row is not None}
        needed = [text for whole, shortened in rendered for text in (whole, *shortened.values())]
        distinct = list(dict.fromkeys([*needed, *before.values()]))
        encoded = yield from self._encoded(sorted(distinct, key=len))
        reasons = []
        for row, (whole, shortened) in zip(learnt, rendered, strict=True):
            sums = np.stack([encoded[text] for text in (whole, *shortened.values())])
            if row is not None:
                embedding = index.vectors(np.array([row]))[0]
                sums += self.lengths[row] * embedding - encoded[before[row]]
                if whole != before[row]:
                    untaught = self.texts.untaught(catalogue.data.popularity[[row]])
                    sums += (1 - untaught) * (encoded[before[row]] - encoded[whole])
            sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), SHORTEST)
            reasons.append(_sorted(list(shortened), (sums[0] - sums[1:]) @ user))
        return reasons

    def _encoded(self, texts: Sequence[str]) -> Pieces[dict[str, Scores]]:
        """Embeddings of the texts, before normalisation."""
        encoded: dict[str, Scores] = {}
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            yield start / len(texts)
            piece = texts[start : start + TEXTS_AT_ONCE]
            encoded |= zip(piece, self.texts.unnormalised(piece), strict=True)
        return encoded

    def _rendered(self, item: Item) -> tuple[str, dict[str, str]]:
        """Text of an item, and by field name the text without that field."""
        lines = text_lines(fields_of(item, self.config), self.config)
        whole = joined(lines.values(), self.config)
        ends = accumulate(len(line) + len(SEPARATOR) for line in lines.values())
        starts = dict(zip(lines, (0, *ends), strict=False))
        read = [name for name in lines if starts[name] < len(whole)][:FIELDS]
        return whole, {
            name: joined((line for other, line in lines.items() if other != name), self.config)
            for name in read
        }


def _sorted(names: Sequence[str], contributions: Scores) -> tuple[TextReason, ...]:
    order = np.argsort(-contributions, kind="stable").tolist()
    return tuple(TextReason(field=names[at], contribution=float(contributions[at])) for at in order)

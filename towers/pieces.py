"""Windows of histories as a training batch reads them: whole, cut in two, or partly reordered."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dataset.training_examples import TrainingExamples
from towers.windows import Windows

REORDERED = 0.2
"""Share of a piece that is reordered, at least two items"""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Part of a window, encoded as if it were a whole history."""

    items: NDArray[np.int32]
    interaction_codes: NDArray[np.int32]
    examples: NDArray[np.int64]
    """Training examples that it predicts."""
    places: NDArray[np.int64]
    """(examples,): place of the last item of each one's history."""

    def cut(self, place: int) -> "list[Piece]":
        """The part before a place and the part from there, each if it predicts anything."""
        parts = [(slice(place), self.places < place, 0)]
        parts += [(slice(place, None), self.places >= place, place)]
        return [
            Piece(
                items=self.items[span],
                interaction_codes=self.interaction_codes[span],
                examples=self.examples[own],
                places=self.places[own] - start,
            )
            for span, own, start in parts
            if own.any()
        ]

    def reordered(self, rng: np.random.Generator) -> "Piece":
        """The piece with some neighbouring items in random order.

        It no longer predicts from between them, where their order would show what comes next. If it
        would predict nothing, it stays.
        """
        count = max(2, round(REORDERED * len(self.items)))
        if len(self.items) < count:
            return self
        first = int(rng.integers(len(self.items) - count + 1))
        order = np.arange(len(self.items))
        order[first : first + count] = first + rng.permutation(count)
        kept = (self.places < first) | (self.places >= first + count - 1)
        if not kept.any():
            return self
        return replace(
            self,
            items=self.items[order],
            interaction_codes=self.interaction_codes[order],
            examples=self.examples[kept],
            places=self.places[kept],
        )


def pieces_of(
    examples: TrainingExamples,
    windows: Windows,
    window: int,
    rng: np.random.Generator,
    *,
    cropped: float,
    reordered: float,
) -> list[Piece]:
    """The pieces of a window (Xie et al., "Contrastive learning for sequential recommendation").

    Args:
        examples: All training examples.
        windows: All windows.
        window: Number of the window.
        rng: Draws; not used where both probabilities are 0.
        cropped: Probability of cutting the window in two at a random place.
        reordered: Probability of reordering a part of each piece.
    """
    span = slice(windows.starts[window], windows.ends[window])
    owned = np.arange(windows.examples[window], windows.examples[window + 1])
    pieces = [
        Piece(
            items=examples.items[span],
            interaction_codes=examples.interaction_codes[span],
            examples=owned,
            places=examples.ends[owned] - 1 - windows.starts[window],
        )
    ]
    length = len(pieces[0].items)
    if cropped and length > 1 and rng.random() < cropped:
        pieces = pieces[0].cut(1 + int(rng.integers(length - 1)))
    if reordered:
        pieces = [one.reordered(rng) if rng.random() < reordered else one for one in pieces]
    return pieces

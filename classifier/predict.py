"""A finished classifier: texts in, labels with calibrated probabilities or numbers out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifier.artifact import Parts
from classifier.hierarchy import log_shares
from classifier.reader import Reader, load_classifier
from classifier.targets import Labels, Numbers, Target

AT_ONCE = 1 << 24
"""Most logits that are in memory at once"""
States = NDArray[np.float32]
Probabilities = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """The most probable labels of some texts."""

    labels: list[list[str]]
    """(texts, k) labels, most probable first"""
    probabilities: Probabilities
    """(texts, k) calibrated probabilities"""


class Classifier:
    """Predicts every target that it was trained on; reads a text once for all of them."""

    def __init__(self, reader: Reader, parts: Parts) -> None:
        self._reader, self.parts = reader, parts
        self.targets = {target.name: target for target in parts.targets}
        """What is predicted, by column"""

    @classmethod
    def load(cls, folder: Path) -> "Classifier":
        """Load what `save_classifier` wrote.

        Raises:
            ArtifactError: the folder holds no classifier of this version.
        """
        return cls(*load_classifier(folder))

    @property
    def text_columns(self) -> tuple[str, ...]:
        """Columns that a text was rendered from in training, in their order."""
        return self.parts.text_columns

    def read(self, texts: Sequence[str], *, description: str = "texts") -> States:
        """(texts, hidden): states of the texts, from which all targets are predicted."""
        return self._reader(texts, description=description)

    def predict(
        self, texts: Sequence[str], top_k: int = 5, *, target: str | None = None
    ) -> Predicted:
        """The most probable labels of some texts.

        Args:
            texts: Texts, rendered as in training.
            top_k: Most labels per text.
            target: Column; by default the first one that has labels.

        Raises:
            ValueError: there is no such column of labels, or `top_k` is below 1.
        """
        return self.labels(self.read(texts), top_k, target=target)

    def predict_numbers(
        self, texts: Sequence[str], *, target: str | None = None
    ) -> NDArray[np.float64]:
        """(texts,): predicted numbers, in the units of the column.

        Raises:
            ValueError: there is no such column of numbers.
        """
        return self.numbers(self.read(texts), texts, target=target)

    def labels(
        self, states: States, top_k: int = 5, *, target: str | None = None, level: int = -1
    ) -> Predicted:
        """The most probable labels, given the states of texts.

        Args:
            states: (texts, hidden) result of `read`.
            top_k: Most labels per text.
            target: Column; by default the first one that has labels.
            level: Level of a hierarchy, from 0 at the top; by default the last one.

        Raises:
            ValueError: there is no such column of labels, or `top_k` is below 1.
        """
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {top_k}")
        column = self._labels(target)
        names = column.levels[level]
        kept = min(top_k, len(names))
        rows, probabilities = [], []
        for part in self.probabilities(states, column, level=level):
            best = np.argpartition(-part, kept - 1, axis=1)[:, :kept]
            best = np.sort(best, axis=1)  # equal probabilities keep the order of the labels
            chosen = np.take_along_axis(part, best, axis=1)
            order = np.argsort(-chosen, axis=1, kind="stable")
            rows.append(np.take_along_axis(best, order, axis=1))
            probabilities.append(np.take_along_axis(chosen, order, axis=1))
        places = np.concatenate(rows) if rows else np.zeros((0, kept), np.int64)
        return Predicted(
            labels=[[names[place] for place in row] for row in places.tolist()],
            probabilities=np.concatenate(probabilities)
            if rows
            else np.zeros((0, kept), np.float32),
        )

    def numbers(
        self, states: States, texts: Sequence[str], *, target: str | None = None
    ) -> NDArray[np.float64]:
        """(texts,): predicted numbers in the units of the column, given texts and their states.

        Raises:
            ValueError: there is no such column of numbers.
        """
        column = self._numbers(target)
        return column.in_units(self.scaled(states, texts, column))

    def scaled(self, states: States, texts: Sequence[str], column: Numbers) -> NDArray[np.float64]:
        """(texts,): predicted numbers on the learnt scale."""
        (output,) = self.parts.outputs(column)
        return self.parts.numbers(states, texts, output)

    def probabilities(
        self, states: States, column: Labels, *, level: int = -1
    ) -> Iterator[Probabilities]:
        """Yields (texts, classes): calibrated probabilities on a level, block after block."""
        depth = range(len(column.levels))[level] + 1
        size = max(1, AT_ONCE // max(column.outputs))
        for start in range(0, len(states), size):
            total = np.zeros((len(states[start : start + size]), 1), np.float32)
            for place, output in zip(range(depth), self.parts.outputs(column), strict=False):
                logits = self.parts.logits(states[start : start + size], output)
                logits /= self.parts.temperatures[output]
                total = total[:, column.parents[place]] + log_shares(logits, column.parents[place])
            yield np.exp(total)

    def _labels(self, target: str | None) -> Labels:
        found = _named(self.parts.targets, target, Labels)
        assert isinstance(found, Labels)
        return found

    def _numbers(self, target: str | None) -> Numbers:
        found = _named(self.parts.targets, target, Numbers)
        assert isinstance(found, Numbers)
        return found


def _named(
    targets: Sequence[Target], name: str | None, kind: type[Labels] | type[Numbers]
) -> Target:
    """The target of a name, or else the first one of a kind.

    Raises:
        ValueError: there is none.
    """
    of_kind = [target for target in targets if isinstance(target, kind)]
    found = [target for target in of_kind if name in (None, target.name)]
    if not found:
        what = "labels" if kind is Labels else "numbers"
        names = [target.name for target in of_kind]
        raise ValueError(f"target must be a column of {what}, one of {names}, got {name!r}")
    return found[0]

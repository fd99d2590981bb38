"""Probabilities of recommended items: monotone maps of the scores that ordered them.

An item that the ranker scored has the probability of its logit; any other one that of its score in
the shortlist. So diversity and the number of ranked items do not change them. Filters change those
of ranked items, whose logits know places in the shortlist.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranker.depth import Depth

FILE = "calibration.json"
"""File of the ranker stage"""
BY_RANKER, BY_SHORTLIST = "ranker", "shortlist"
"""Names of the scores that are calibrated"""
Scores = NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A monotone map from scores to probabilities, linear between its knots."""

    scores: Sequence[float]
    """(knots,) ascending"""
    probabilities: Sequence[float]
    """(knots,) never decreasing, within [0, 1]"""

    def __call__(self, scores: Scores) -> NDArray[np.float64]:
        """(items,) probabilities; beyond the outer knots those of the knots, NaN for NaN."""
        found: NDArray[np.float64] = np.interp(scores, self.scores, self.probabilities)
        return found


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What validation has taught about scores; without a curve, probabilities are unknown."""

    by_history: Mapping[str, Curve] = field(default_factory=dict)
    """Curves of answers to a history, by the name of the score"""
    by_search: Mapping[str, Curve] = field(default_factory=dict)
    """Curves of answers to a search"""
    depth: Depth | None = None
    """How many items are worth ranking; None if the ranker does not pay"""

    def curves(self, *, searched: bool) -> Mapping[str, Curve]:
        """Curves of one kind of answers."""
        return self.by_search if searched else self.by_history

    def probabilities(
        self, ranker_scores: Scores, shortlist_scores: Scores, *, searched: bool
    ) -> NDArray[np.float64]:
        """(items,) probability of each item to be among the user's next ones, NaN if unknown.

        Args:
            ranker_scores: (items,) logits of the ranker; NaN for items that it did not score.
            shortlist_scores: (items,) scores in the shortlist.
            searched: Whether the items answer a search.
        """
        curves = self.curves(searched=searched)
        unknown = np.full(len(ranker_scores), np.nan)
        ranked, recalled = curves.get(BY_RANKER), curves.get(BY_SHORTLIST)
        found = unknown if recalled is None else recalled(shortlist_scores)
        return (
            found
            if ranked is None
            else np.where(np.isnan(ranker_scores), found, ranked(ranker_scores))
        )

    def save(self, folder: Path) -> None:
        """Write the curves and the depth to a stage's folder."""
        (folder / FILE).write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def load(cls, folder: Path) -> "Calibration":
        """Read what `save` wrote; empty for a stage that is older than the file."""
        path = folder / FILE
        if not path.is_file():
            return cls()
        stored = json.loads(path.read_text())
        by_history, by_search = (
            {name: Curve(**curve) for name, curve in stored[kind].items()}
            for kind in ("by_history", "by_search")
        )
        depth = stored["depth"]
        return cls(
            by_history=by_history,
            by_search=by_search,
            depth=None if depth is None else Depth(**depth),
        )

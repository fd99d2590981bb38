"""How many items of a shortlist are worth ranking."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

LEAST, STEP = 10, 5
"""Fewest items that are ranked, those that NDCG@10 sees; numbers above are multiples of `STEP`"""
Rule = Literal["number", "gap", "mass"]
Scores = NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True)
class Depth:
    """A rule that reads the shortlist's scores alone."""

    rule: Rule
    """`number` ranks as many items of every list; `gap` those whose score is not further below the
    tenth one; `mass` those that have a share of the softmax of the list's scores"""
    value: float
    """The number, the gap in logits, or the share"""
    most: int
    """Items that the ranker was validated with; the rule sees no others"""

    def __call__(self, scores: Scores) -> int:
        """Number of items to rank.

        Args:
            scores: (items,) shortlist scores, best first.
        """
        return int(self.of_all(np.asarray(scores)[None])[0])

    def of_all(self, scores: Scores) -> NDArray[np.int64]:
        """(lists,) numbers of items to rank, at most `most` and the length of each list.

        Args:
            scores: (lists, items) shortlist scores, best first; -inf for padding.
        """
        head = scores[:, : self.most]
        lengths = (head > -np.inf).sum(axis=1)
        wanted = np.ceil(self._wanted(head) / STEP).astype(np.int64) * STEP
        counts: NDArray[np.int64] = np.minimum(np.maximum(wanted, LEAST), lengths)
        return counts

    def _wanted(self, head: Scores) -> NDArray[np.float64] | NDArray[np.int64]:
        """(lists,) numbers of items by the rule, before rounding."""
        if self.rule == "number" or not head.size:
            return np.full(len(head), self.value)
        if self.rule == "gap":
            last = np.minimum(LEAST, np.maximum((head > -np.inf).sum(axis=1), 1)) - 1
            tenth = head[np.arange(len(head)), last]
            near: NDArray[np.int64] = (head >= tenth[:, None] - self.value).sum(axis=1)
            return near
        odds = np.exp(head - np.maximum(head[:, :1], -1e30))  # an empty list begins with -inf
        before = np.cumsum(odds, axis=1) - odds
        within: NDArray[np.int64]
        within = (before < self.value * odds.sum(axis=1, keepdims=True)).sum(axis=1)
        return within

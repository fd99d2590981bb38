"""The ranked list that the stages of the cascade pass on: items in order, with their scores."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.arrays import Rows, Scores


@dataclass(frozen=True, kw_only=True)
class RankedList:
    """Items in order; all arrays are (items,). Recall creates a list, later stages refine it."""

    rows: Rows
    """Item rows"""
    scores: Scores
    """Scores that order the list: logits if a shopper is known, comparable within one list"""
    cosines: Scores
    """Cosine of the shopper's and the item's embedding; NaN without a shopper's embedding"""
    neighbour_scores: Scores
    """Item-kNN score, 0 if the item shares no user with the history; NaN as for `cosines`"""
    sales: Scores
    """Purchases in the window of the best sellers, 0 if they do not count; NaN as for `cosines`"""
    own: Scores
    """How much the shopper had of the item before, see `index.by_history`; NaN as for `cosines`"""
    words: Scores
    """How well the item's text matches the search, see `index.lexical`, 0 without a search; NaN as
    for `cosines`"""
    generated: Scores
    """Probability of being the next item, see `index.generated`, 0 if the source is off; NaN as for
    `cosines`"""
    by_towers: NDArray[np.bool_]
    """Whether the towers alone would have recalled the item"""
    by_neighbours: NDArray[np.bool_]
    """Whether item-kNN alone would have recalled the item"""
    by_sales: NDArray[np.bool_]
    """Whether best sellers alone would have recalled the item"""
    by_own: NDArray[np.bool_]
    """Whether what the shopper had before alone would have recalled the item"""
    by_words: NDArray[np.bool_]
    """Whether the words of the search alone would have recalled the item"""
    by_generated: NDArray[np.bool_]
    """Whether the item was generated"""
    shortlist_ranks: NDArray[np.int64]
    """Position in the shortlist, from 1; 0 if the item was not recalled"""
    shortlist_scores: Scores
    """Scores before the ranker, logits if a shopper is known, as validation knows them: generated
    items, which the shortlists of the trial do not have, do not count"""
    ranker_scores: Scores
    """Logits of the ranker; NaN for items that it did not score"""
    shortlist: "RankedList | None" = None
    """For items that a request gave: the shopper's shortlist, which their features refer to"""

    @classmethod
    def of(cls, rows: Rows, scores: Scores) -> "RankedList":
        """A list with scores only; every other field is unknown."""
        unknown, nowhere = np.full(len(rows), np.nan, np.float32), np.zeros(len(rows), bool)
        return cls(
            rows=rows,
            scores=scores,
            cosines=unknown,
            neighbour_scores=unknown,
            sales=unknown,
            own=unknown,
            words=unknown,
            generated=unknown,
            by_towers=nowhere,
            by_neighbours=nowhere,
            by_sales=nowhere,
            by_own=nowhere,
            by_words=nowhere,
            by_generated=nowhere,
            shortlist_ranks=np.zeros(len(rows), np.int64),
            shortlist_scores=scores,
            ranker_scores=unknown,
        )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def ranked(self) -> int:
        """Number of items that the ranker scored."""
        return int((~np.isnan(self.ranker_scores)).sum())

    def take(self, places: NDArray[np.integer] | slice) -> "RankedList":
        """The items at the given places, in that order."""
        return replace(self, **{name: values[places] for name, values in self._columns.items()})

    @property
    def _columns(self) -> Mapping[str, Any]:
        return {name: values for name, values in vars(self).items() if name != "shortlist"}

    def reranked(self, logits: Scores, *, shortlist_weight: float) -> "RankedList":
        """The list with its head in the ranker's order; ties keep their order.

        Args:
            logits: (head,) logits of the ranker for the first items of the list; at least one.
            shortlist_weight: Weight of a shortlist score in the ranker's logit. It converts the
                tail's distance below the head from shortlist scores to logits.
        """
        order = np.argsort(-logits, kind="stable")
        head, tail = self.take(order), self.take(slice(len(logits), None))
        ranked = logits[order]
        below = shortlist_weight * (tail.scores - head.scores.min())
        joined: dict[str, Any] = {
            name: np.concatenate([values, tail._columns[name]])
            for name, values in head._columns.items()
        }
        return replace(
            replace(self, **joined),
            scores=np.concatenate([ranked, ranked[-1] + below]),
            ranker_scores=np.concatenate([ranked, tail.ranker_scores]),
        )

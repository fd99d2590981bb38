"""Items on their way to an answer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from index.recall_sources import Recalled, Rows, Scores
from serving.catalogue.catalogue import Catalogue
from shortlist_client.api.answer import RankedItem, Source


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Items in an answer's order; all arrays (items,)."""

    rows: Rows
    scores: Scores
    """What the answer is ordered by"""
    recalled: Recalled | None = None
    """The same items as the sources of recall saw them"""
    ranks: NDArray[np.int64] | None = None
    """Places in the shortlist, from 1"""
    ranker_scores: Scores | None = None
    """NaN where the ranker did not look"""

    def followed_by(self, tail: Recalled, weight: float) -> "Candidates":
        """These, ranked, and behind them what the ranker did not read.

        Args:
            tail: The rest of the shortlist, in its order.
            weight: What a shortlist's score counts in the ranker's; the tail lies below the lowest
                ranked item by as much as the shortlist has it.
        """
        assert self.recalled is not None
        assert self.ranks is not None
        assert self.ranker_scores is not None
        below = weight * (tail.scores - self.recalled.scores.min())
        places = 1 + len(self.rows) + np.arange(len(tail.rows))
        return Candidates(
            rows=np.concatenate([self.rows, tail.rows]),
            scores=np.concatenate([self.scores, self.scores[-1] + below]),
            recalled=Recalled(
                **{
                    name: np.concatenate([values, vars(tail)[name]])
                    for name, values in vars(self.recalled).items()
                }
            ),
            ranks=np.concatenate([self.ranks, places]),
            ranker_scores=np.concatenate([self.ranker_scores, np.full(len(tail.rows), np.nan)]),
        )

    def chosen(self, places: NDArray[np.int64]) -> "Candidates":
        """Some of them, in another order."""
        return Candidates(
            rows=self.rows[places],
            scores=self.scores[places],
            recalled=None if self.recalled is None else self.recalled.head(places),
            ranks=None if self.ranks is None else self.ranks[places],
            ranker_scores=None if self.ranker_scores is None else self.ranker_scores[places],
        )

    def items(self, catalogue: Catalogue, limit: int) -> list[RankedItem]:
        """The first items, with ids, titles, and what every stage says of them."""
        return [self._item(catalogue, position) for position in range(min(limit, len(self.rows)))]

    def _item(self, catalogue: Catalogue, position: int) -> RankedItem:
        row, seen = int(self.rows[position]), self.recalled
        return RankedItem(
            item_id=catalogue.item_id(row),
            title=catalogue.title(row),
            score=float(self.scores[position]),
            tower_score=None if seen is None else float(seen.cosines[position]),
            neighbour_score=None if seen is None else float(seen.neighbour_scores[position]),
            sources=() if seen is None else _sources(seen, position),
            shortlist_rank=None if self.ranks is None else int(self.ranks[position]),
            ranker_score=_known(self.ranker_scores, position),
        )


def _known(values: Scores | None, position: int) -> float | None:
    if values is None or np.isnan(values[position]):
        return None
    return float(values[position])


def _sources(seen: Recalled, position: int) -> tuple[Source, ...]:
    sources = ((Source.TOWERS, seen.by_towers), (Source.NEIGHBOURS, seen.by_neighbours))
    return tuple(source for source, by in sources if by[position])

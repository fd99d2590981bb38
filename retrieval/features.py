"""What numbers say of a shopper and a candidate: the ranker learns from them and is served them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index import demand_eras
from index.item_knn import Neighbours
from index.ranked_list import RankedList, Rows, Scores
from index.recall_sources import RecallSources

FLOOR = 1e-3
"""Added to a share before its logarithm is taken."""
NEWEST = 50
"""Items of a history that are looked at"""
DECAY = 0.7
"""Weight of an item relative to the next younger one"""
NAMES = (
    "shortlist score",
    "distance to the best score",
    "rank",
    "cosine",
    "cosine rank",
    "neighbour score",
    "neighbour rank",
    "recalled by towers",
    "recalled by neighbours",
    "popularity",
    "history length",
    "bought with the last item",
    "bought with the last but one",
    "bought with any, most",
    "bought after the last item",
    "bought after the last but one",
    "bought after any, most",
    "bought after all, recent most",
    "bought before the last item",
    "bought before any, most",
    "cosine to the last item",
    "cosine to the last but one",
    "cosine to any, most",
    "cosine to all, mean",
    "cosine to all, recent most",
    "era",
    "era beside the last item's",
    "era beside the latest",
    "era beside the mean of the last three",
    "purchases that are a user's last, share",
    "purchases that are a user's last",
    "purchases that are a user's first, share",
)
"""In the order of the columns"""


@dataclass(frozen=True, kw_only=True)
class Signals:
    """Looks up what a release knows of pairs of items, and of items."""

    sources: RecallSources
    """What recalled the candidates"""
    popularity: NDArray[np.int64]
    """(items of the release,) training purchases"""
    item_times: NDArray[np.float32]
    """(items of the release + 1, columns) of `index.demand_eras.item_times`"""

    @classmethod
    def load(cls, folder: Path, sources: RecallSources, popularity: NDArray[np.int64]) -> "Signals":
        """Load what the index stage below a folder knows of items, beside what is given."""
        return cls(
            sources=sources, popularity=popularity, item_times=demand_eras.load(folder / "index")
        )

    def __call__(self, history: Rows, candidates: RankedList) -> Scores:
        """Describe candidates for a shopper.

        Args:
            history: Item rows, oldest first.
            candidates: Distinct items, none of them in the history, as the sources see them.

        Returns:
            (candidates, signals) float32, columns as in `NAMES`.
        """
        newest = history[-NEWEST:][::-1]  # the last first
        rows, count = candidates.rows, len(candidates.rows)
        embeddings = self.sources.index.vectors(np.concatenate([newest, rows]))
        alike = embeddings[: len(newest)] @ embeddings[len(newest) :].T  # (history, candidates)
        owners, others = self.sources.index.origins(newest), self.sources.index.origins(rows)
        together = self._listed(self.sources.neighbours, owners, others)
        after = self._listed(self.sources.next_items, owners, others)
        before = self._listed(self.sources.next_items, others, owners).T
        recent = DECAY ** np.arange(len(newest), dtype=np.float32)[:, None]
        columns = [
            candidates.scores,
            candidates.scores - candidates.scores.max(initial=-np.inf),
            _log_rank(candidates.scores),
            candidates.cosines,
            _log_rank(candidates.cosines),
            np.log(candidates.neighbour_scores + FLOOR),
            _log_rank(candidates.neighbour_scores),
            candidates.by_towers,
            candidates.by_neighbours,
            np.log1p(purchases(self.popularity, others)),
            np.full(count, np.log1p(len(history))),
            *(_log(part) for part in (*_last(together, 2), _most(together))),
            *(_log(part) for part in (*_last(after, 2), _most(after), (recent * after).sum(0))),
            *(_log(part) for part in (*_last(before, 1), _most(before))),
            *_last(alike, 2),
            _most(alike),
            alike.sum(0) / max(len(newest), 1),
            (recent * alike).sum(0) / max(float(recent.sum()), 1.0),
            *self._times(owners, others),
        ]
        return np.stack(columns, axis=1).astype(np.float32)

    def _times(self, owners: NDArray[np.int64], others: NDArray[np.int64]) -> list[Scores]:
        """When candidates are in demand, also beside the history, the last item first."""
        unknown = len(self.item_times) - 1
        era, *shares = self.item_times[np.minimum(others, unknown)].T
        eras = self.item_times[np.minimum(owners, unknown), 0]
        if not len(eras):
            eras = np.zeros(1, np.float32)
        return [era, era - eras[0], era - eras.max(), era - eras[:3].mean(), *shares]

    @staticmethod
    def _listed(
        lists: Neighbours | None, owners: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> Scores:
        """(owners, rows) weights; of rows that come twice, each."""
        if lists is None:
            return np.zeros((len(owners), len(rows)), np.float32)
        distinct, place = np.unique(rows, return_inverse=True)
        return lists.between(owners, distinct)[:, place]


def purchases(popularity: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """(rows,): purchases of some items, 0 of those that are newer than the release."""
    known = rows < len(popularity)
    counts: NDArray[np.int64] = np.where(known, popularity[np.where(known, rows, 0)], 0)
    return counts


def _last(values: Scores, places: int) -> list[Scores]:
    """Of the newest items of a history, (history, candidates); 0 where it is shorter."""
    nothing = np.zeros(values.shape[1], np.float32)
    return [values[place] if place < len(values) else nothing for place in range(places)]


def _most(values: Scores) -> Scores:
    most: Scores = values.max(axis=0, initial=0.0)
    return most


def _log(share: Scores) -> Scores:
    logarithm: Scores = np.log(share + np.float32(FLOOR))
    return logarithm


def _log_rank(scores: Scores) -> Scores:
    """log(1 + place), the best first; equals share the best of their places."""
    order = np.sort(-scores)
    ranks: Scores = np.log1p(np.searchsorted(order, -scores)).astype(np.float32)
    return ranks

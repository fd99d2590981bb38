"""Features of a user and a candidate item: the ranker learns from them and is served them.

`FEATURES` names them all. To add one, add a line there, and a function where a line is too short.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index import demand_eras
from index.item_knn import Neighbours
from index.ranked_list import RankedList, Rows, Scores
from index.recall_sources import RecallSources
from lineage.manifest import MismatchedArtifactError, command

FLOOR = 1e-3
"""Added to a share before its logarithm is taken."""
NEWEST = 50
"""Newest items of a history that are read."""
DECAY = 0.7
"""Weight of an item of the history relative to the next newer one."""


@dataclass(frozen=True, kw_only=True)
class FeatureContext:
    """One user's history and some candidates; each intermediate result is computed once.

    The history is cut to its newest items, newest first.
    """

    sources: RecallSources
    popularity: NDArray[np.int64]
    item_times: NDArray[np.float32]
    history: Rows
    """(all items,) item rows, oldest first"""
    candidates: RankedList

    @cached_property
    def newest(self) -> Rows:
        """(history,) item rows, newest first."""
        return self.history[-NEWEST:][::-1]

    @cached_property
    def history_origins(self) -> NDArray[np.int64]:
        """(history,) rows under which the release knows the items of the history."""
        return self.sources.index.origins(self.newest)

    @cached_property
    def origins(self) -> NDArray[np.int64]:
        """(candidates,) rows under which the release knows the candidates."""
        return self.sources.index.origins(self.candidates.rows)

    @property
    def count(self) -> int:
        """Number of candidates."""
        return len(self.candidates.rows)

    @cached_property
    def alike(self) -> Scores:
        """(history, candidates) cosines of the items' embeddings."""
        rows, length = np.concatenate([self.newest, self.candidates.rows]), len(self.newest)
        embeddings = self.sources.index.vectors(rows)
        cosines: Scores = embeddings[:length] @ embeddings[length:].T
        return cosines

    @cached_property
    def together(self) -> Scores:
        """(history, candidates) how often the same users bought both."""
        return _weights(self.sources.neighbours, self.history_origins, self.origins)

    @cached_property
    def after(self) -> Scores:
        """(history, candidates) how often the candidate followed the item of the history."""
        return _weights(self.sources.next_items, self.history_origins, self.origins)

    @cached_property
    def before(self) -> Scores:
        """(history, candidates) how often the item of the history followed the candidate."""
        return _weights(self.sources.next_items, self.origins, self.history_origins).T

    @cached_property
    def recency(self) -> Scores:
        """(history, 1) weights that decay with age."""
        weights: Scores = DECAY ** np.arange(len(self.newest), dtype=np.float32)[:, None]
        return weights

    @cached_property
    def times(self) -> Scores:
        """(columns, candidates), columns as in `index.demand_eras.COLUMNS`."""
        return self._times(self.origins).T

    @cached_property
    def eras(self) -> Scores:
        """(history,) eras of the history's items; one era 0 where there is none."""
        if not len(self.newest):
            return np.zeros(1, np.float32)
        return self._times(self.history_origins)[:, 0]

    def _times(self, origins: NDArray[np.int64]) -> Scores:
        return self.item_times[np.minimum(origins, len(self.item_times) - 1)]


@dataclass(frozen=True)
class Feature:
    """A number about a user and a candidate item."""

    name: str
    """Artefacts store it: a ranker is served the features that it learnt from, by name."""
    unit: str
    """What the number measures."""
    function: Callable[[FeatureContext], Scores | NDArray[np.bool_]]
    """Returns (candidates,)."""


FEATURES = (
    Feature("shortlist score", "logit", lambda c: c.candidates.scores),
    Feature("gap to the best shortlist score", "logit", lambda c: _gap(c.candidates.scores)),
    Feature("rank by shortlist score", "log rank", lambda c: _log_rank(c.candidates.scores)),
    Feature("cosine to the user", "cosine", lambda c: c.candidates.cosines),
    Feature("rank by cosine", "log rank", lambda c: _log_rank(c.candidates.cosines)),
    Feature("neighbour score", "log score", lambda c: _log(c.candidates.neighbour_scores)),
    Feature(
        "rank by neighbour score", "log rank", lambda c: _log_rank(c.candidates.neighbour_scores)
    ),
    Feature("recalled by the towers", "bool", lambda c: c.candidates.by_towers),
    Feature("recalled by the neighbour lists", "bool", lambda c: c.candidates.by_neighbours),
    Feature("popularity", "log count", lambda c: np.log1p(purchases(c.popularity, c.origins))),
    Feature("history length", "log count", lambda c: np.full(c.count, np.log1p(len(c.history)))),
    Feature("bought with the last item", "log share", lambda c: _log(_at(c.together, 0))),
    Feature("bought with the second last item", "log share", lambda c: _log(_at(c.together, 1))),
    Feature("bought with any item, maximum", "log share", lambda c: _log(_maximum(c.together))),
    Feature("bought after the last item", "log share", lambda c: _log(_at(c.after, 0))),
    Feature("bought after the second last item", "log share", lambda c: _log(_at(c.after, 1))),
    Feature("bought after any item, maximum", "log share", lambda c: _log(_maximum(c.after))),
    Feature(
        "bought after all items, decayed sum", "log share", lambda c: _log(_decayed(c, c.after))
    ),
    Feature("bought before the last item", "log share", lambda c: _log(_at(c.before, 0))),
    Feature("bought before any item, maximum", "log share", lambda c: _log(_maximum(c.before))),
    Feature("cosine to the last item", "cosine", lambda c: _at(c.alike, 0)),
    Feature("cosine to the second last item", "cosine", lambda c: _at(c.alike, 1)),
    Feature("cosine to any item, maximum", "cosine", lambda c: _maximum(c.alike)),
    Feature("cosine to all items, mean", "cosine", lambda c: _mean(c.alike)),
    Feature("cosine to all items, decayed mean", "cosine", lambda c: _decayed_mean(c, c.alike)),
    Feature("era", "standard deviations", lambda c: c.times[0]),
    Feature("era minus the last item's", "standard deviations", lambda c: c.times[0] - c.eras[0]),
    Feature("era minus the latest", "standard deviations", lambda c: c.times[0] - c.eras.max()),
    Feature(
        "era minus the last three's",
        "standard deviations",
        lambda c: c.times[0] - c.eras[:3].mean(),
    ),
    Feature("purchases that are a user's last, share", "log share", lambda c: c.times[1]),
    Feature("purchases that are a user's last", "log count", lambda c: c.times[2]),
    Feature("purchases that are a user's first, share", "log share", lambda c: c.times[3]),
)
"""All features, in the order of the columns."""


def feature_names() -> tuple[str, ...]:
    """Names of all features, in the order of the columns."""
    return tuple(feature.name for feature in FEATURES)


def require_features(names: Sequence[str], folder: Path) -> None:
    """Check that a ranker reads exactly the features that are computed here, in this order.

    Args:
        names: Features that the ranker learnt from.
        folder: Folder of the ranker stage.

    Raises:
        MismatchedArtifactError: names what is missing, extra or moved, and the command that mends
            it.
    """
    computed = feature_names()
    if tuple(names) == computed:
        return
    kept, expected = (
        [n for n in some if n in names and n in computed] for some in (names, computed)
    )
    differences = {
        "missing": [name for name in computed if name not in names],
        "extra": [name for name in names if name not in computed],
        "moved": [name for name, other in zip(kept, expected, strict=True) if name != other],
    }
    told = "; ".join(
        f"{kind}: {', '.join(map(repr, some))}" for kind, some in differences.items() if some
    )
    raise MismatchedArtifactError(
        f"'ranker' in {folder} learnt from other features than this version computes ({told}); "
        f"make it again with `{command(folder, 'ranker')}`"
    )


@dataclass(frozen=True, kw_only=True)
class Features:
    """Computes the features of candidates from what a release knows of items."""

    sources: RecallSources
    """The index and the neighbour lists, which also recalled the candidates"""
    popularity: NDArray[np.int64]
    """(items,) training purchases"""
    item_times: NDArray[np.float32]
    """(items + 1, columns) as returned by `index.demand_eras.item_times`"""

    @classmethod
    def load(
        cls, folder: Path, sources: RecallSources, popularity: NDArray[np.int64]
    ) -> "Features":
        """Load the item times of the index stage below a folder."""
        times = demand_eras.load(folder / "index")
        return cls(sources=sources, popularity=popularity, item_times=times)

    def __call__(self, history: Rows, candidates: RankedList) -> Scores:
        """Compute the features of one user's candidates.

        Args:
            history: Item rows, oldest first.
            candidates: Distinct items, none of them in the history.

        Returns:
            (candidates, features) float32, columns as in `FEATURES`.
        """
        context = FeatureContext(
            sources=self.sources,
            popularity=self.popularity,
            item_times=self.item_times,
            history=history,
            candidates=candidates,
        )
        table = np.empty((len(candidates.rows), len(FEATURES)), np.float32)
        for column, feature in enumerate(FEATURES):
            table[:, column] = feature.function(context)
        return table


def purchases(popularity: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """(rows,) purchases of some items; 0 for items newer than the release."""
    known = rows < len(popularity)
    counts: NDArray[np.int64] = np.where(known, popularity[np.where(known, rows, 0)], 0)
    return counts


def _weights(
    lists: Neighbours | None, owners: NDArray[np.int64], rows: NDArray[np.int64]
) -> Scores:
    """(owners, rows) weights that the owners' lists give the rows, which may repeat."""
    if lists is None:
        return np.zeros((len(owners), len(rows)), np.float32)
    distinct, place = np.unique(rows, return_inverse=True)
    return lists.between(owners, distinct)[:, place]


def _at(values: Scores, age: int) -> Scores:
    """Row of (history, candidates); 0 where the history is shorter."""
    row: Scores = values[age] if age < len(values) else np.zeros(values.shape[1], np.float32)
    return row


def _maximum(values: Scores) -> Scores:
    """Maximum over the history, at least 0."""
    largest: Scores = values.max(axis=0, initial=0.0)
    return largest


def _mean(values: Scores) -> Scores:
    mean: Scores = values.sum(axis=0) / max(len(values), 1)
    return mean


def _decayed(context: FeatureContext, values: Scores) -> Scores:
    """Sum over the history, newer items weighing more."""
    total: Scores = (context.recency * values).sum(axis=0)
    return total


def _decayed_mean(context: FeatureContext, values: Scores) -> Scores:
    mean: Scores = _decayed(context, values) / max(float(context.recency.sum()), 1.0)
    return mean


def _gap(scores: Scores) -> Scores:
    """Distance to the best score, at most 0."""
    gap: Scores = scores - scores.max(initial=-np.inf)
    return gap


def _log(share: Scores) -> Scores:
    logarithm: Scores = np.log(share + np.float32(FLOOR))
    return logarithm


def _log_rank(scores: Scores) -> Scores:
    """log(1 + rank), the best has rank 0; ties share their best rank."""
    order = np.sort(-scores)
    ranks: Scores = np.log1p(np.searchsorted(order, -scores)).astype(np.float32)
    return ranks

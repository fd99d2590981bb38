"""Features of a user and a candidate item, computed by one function for training and serving.

`FEATURES` lists them all. To add one, add a line there; where a line is too short, add a function.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index import demand_eras
from index.arrays import Rows, Scores
from index.item_knn import NeighbourLists
from index.ranked_list import RankedList
from index.recall_sources import RecallSources
from lineage.manifest import RECORD, MismatchedArtifactError, command
from lineage.stages import INDEX, RANKER

FLOOR = 1e-3
"""Added to a share before taking its logarithm."""
NEWEST = 50
"""Most items of a history that features read, the newest ones."""
DECAY = 0.7
"""Weight of a history item relative to the next newer item."""


@dataclass(frozen=True, kw_only=True)
class FeatureContext:
    """One user's history and candidates; computes each intermediate result once."""

    sources: RecallSources
    popularity: NDArray[np.float64]
    item_times: NDArray[np.float32]
    history: Rows
    """(all items,) item rows, oldest first"""
    candidates: RankedList

    @property
    def shortlist(self) -> RankedList:
        """The list among which candidates have ranks: their own, or the shopper's shortlist."""
        return self.candidates if self.candidates.shortlist is None else self.candidates.shortlist

    def in_shortlist(self, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(candidates,) flags of the shortlist's items; false for candidates that it lacks."""
        if self.candidates.shortlist is None:
            return flags
        flagged: NDArray[np.bool_] = np.isin(self.candidates.rows, self.shortlist.rows[flags])
        return flagged

    @cached_property
    def newest(self) -> Rows:
        """(history,) item rows of the `NEWEST` newest items, newest first."""
        return self.history[-NEWEST:][::-1]

    @cached_property
    def history_origins(self) -> NDArray[np.int64]:
        """(history,) the release's rows of the history items."""
        return self.sources.index.origins(self.newest)

    @cached_property
    def origins(self) -> NDArray[np.int64]:
        """(candidates,) the release's rows of the candidates."""
        return self.sources.index.origins(self.candidates.rows)

    @property
    def count(self) -> int:
        """Number of candidates."""
        return len(self.candidates.rows)

    @cached_property
    def item_cosines(self) -> Scores:
        """(history, candidates) cosines of the items' embeddings."""
        rows, length = np.concatenate([self.newest, self.candidates.rows]), len(self.newest)
        embeddings = self.sources.index.vectors(rows)
        cosines: Scores = embeddings[:length] @ embeddings[length:].T
        return cosines

    @cached_property
    def together(self) -> Scores:
        """(history, candidates) item-kNN weight: how much the same users buy both."""
        return _weights(self.sources.neighbours, self.history_origins, self.origins)

    @cached_property
    def after(self) -> Scores:
        """(history, candidates) weight of buying the candidate after the history item."""
        return _weights(self.sources.next_items, self.history_origins, self.origins)

    @cached_property
    def before(self) -> Scores:
        """(history, candidates) weight of buying the history item after the candidate."""
        return _weights(self.sources.next_items, self.origins, self.history_origins).T

    @cached_property
    def recency(self) -> Scores:
        """(history, 1) weights that decay with an item's place, newest first."""
        weights: Scores = DECAY ** np.arange(len(self.newest), dtype=np.float32)[:, None]
        return weights

    @cached_property
    def times(self) -> Scores:
        """(columns, candidates), columns as in `index.demand_eras.COLUMNS`."""
        return self._times(self.origins).T

    @cached_property
    def eras(self) -> Scores:
        """(history,) eras of the history items; a single 0 for an empty history."""
        if not len(self.newest):
            return np.zeros(1, np.float32)
        return self._times(self.history_origins)[:, 0]

    def _times(self, origins: NDArray[np.int64]) -> Scores:
        return self.item_times[np.minimum(origins, len(self.item_times) - 1)]


@dataclass(frozen=True)
class Feature:
    """A number about a user and a candidate item."""

    name: str
    """Artefacts store the names, so that a ranker is never served other features."""
    unit: str
    """Unit of the number, such as `cosine` or `log share`."""
    function: Callable[[FeatureContext], Scores | NDArray[np.bool_]]
    """Returns (candidates,)."""


FEATURES = (
    Feature("shortlist score", "logit", lambda c: c.candidates.scores),
    Feature("gap to the best shortlist score", "logit", lambda c: _gap(c, "scores")),
    Feature("rank by shortlist score", "log rank", lambda c: _log_rank(c, "scores")),
    Feature("cosine to the user", "cosine", lambda c: c.candidates.cosines),
    Feature("rank by cosine", "log rank", lambda c: _log_rank(c, "cosines")),
    Feature("neighbour score", "log score", lambda c: _log(c.candidates.neighbour_scores)),
    Feature("rank by neighbour score", "log rank", lambda c: _log_rank(c, "neighbour_scores")),
    Feature("recalled by the towers", "bool", lambda c: c.in_shortlist(c.shortlist.by_towers)),
    Feature(
        "recalled by the neighbour lists",
        "bool",
        lambda c: c.in_shortlist(c.shortlist.by_neighbours),
    ),
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
    Feature("cosine to the last item", "cosine", lambda c: _at(c.item_cosines, 0)),
    Feature("cosine to the second last item", "cosine", lambda c: _at(c.item_cosines, 1)),
    Feature("cosine to any item, maximum", "cosine", lambda c: _maximum(c.item_cosines)),
    Feature("cosine to all items, mean", "cosine", lambda c: _mean(c.item_cosines)),
    Feature(
        "cosine to all items, decayed mean", "cosine", lambda c: _decayed_mean(c, c.item_cosines)
    ),
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
"""All features, in column order."""


def feature_names() -> tuple[str, ...]:
    """Names of all features, in column order."""
    return tuple(feature.name for feature in FEATURES)


def require_features(names: Sequence[str], folder: Path) -> None:
    """Check that a ranker was trained on exactly the features of `FEATURES`, in this order.

    Args:
        names: Features that the ranker was trained on.
        folder: Folder of the ranker stage.

    Raises:
        MismatchedArtifactError: features are missing, extra or moved; the message names them and
            the command that makes the ranker again.
    """
    computed = feature_names()
    if tuple(names) == computed:
        return
    stored, expected = (
        [n for n in listed if n in names and n in computed] for listed in (names, computed)
    )
    differences = {
        "missing": [name for name in computed if name not in names],
        "extra": [name for name in names if name not in computed],
        "moved": [name for name, other in zip(stored, expected, strict=True) if name != other],
    }
    described = "; ".join(
        f"{kind}: {', '.join(map(repr, different))}"
        for kind, different in differences.items()
        if different
    )
    made = command(folder, RANKER)
    if (folder.parent / RECORD).is_file():
        made = f"make ranker DATASET={folder.parents[1].name}` and `{made}"
    raise MismatchedArtifactError(
        f"'ranker' in {folder} was trained on other features than this version computes "
        f"({described}); make it again with `{made}`"
    )


@dataclass(frozen=True, kw_only=True)
class Features:
    """Computes the features of candidates from a release's data about items."""

    sources: RecallSources
    """Index and neighbour lists, the same that recall the candidates"""
    popularity: NDArray[np.float64]
    """(items,) weighted users in training"""
    item_times: NDArray[np.float32]
    """(items + 1, columns) as returned by `index.demand_eras.item_times`"""

    @classmethod
    def load(
        cls, folder: Path, sources: RecallSources, popularity: NDArray[np.float64]
    ) -> "Features":
        """Load the item times that the index stage wrote below a folder."""
        times = demand_eras.load(folder / INDEX)
        return cls(sources=sources, popularity=popularity, item_times=times)

    def __call__(self, history: Rows, candidates: RankedList) -> Scores:
        """Compute the features of one user's candidates.

        Args:
            history: Item rows, oldest first.
            candidates: Distinct items, a shortlist or with one; then the ranks among others are
                those that they would have in that shortlist, as in training.

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


def purchases(popularity: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """(rows,) popularity of each item; 0 for items newer than the release."""
    known = rows < len(popularity)
    counts: NDArray[np.float64] = np.where(known, popularity[np.where(known, rows, 0)], 0)
    return counts


def _weights(
    lists: NeighbourLists | None, owners: NDArray[np.int64], rows: NDArray[np.int64]
) -> Scores:
    """(owners, rows) weights of the rows in the owners' lists; rows may repeat."""
    if lists is None:
        return np.zeros((len(owners), len(rows)), np.float32)
    distinct, place = np.unique(rows, return_inverse=True)
    return lists.between(owners, distinct)[:, place]


def _at(values: Scores, age: int) -> Scores:
    """(candidates,) values of the history item of an age; 0 where the history is shorter."""
    row: Scores = values[age] if age < len(values) else np.zeros(values.shape[1], np.float32)
    return row


def _maximum(values: Scores) -> Scores:
    """(candidates,) maximum over the history, at least 0."""
    largest: Scores = values.max(axis=0, initial=0.0)
    return largest


def _mean(values: Scores) -> Scores:
    mean: Scores = values.sum(axis=0) / max(len(values), 1)
    return mean


def _decayed(context: FeatureContext, values: Scores) -> Scores:
    """(candidates,) sum over the history; newer items weigh more."""
    total: Scores = (context.recency * values).sum(axis=0)
    return total


def _decayed_mean(context: FeatureContext, values: Scores) -> Scores:
    mean: Scores = _decayed(context, values) / max(float(context.recency.sum()), 1.0)
    return mean


def _gap(context: FeatureContext, scores: str) -> Scores:
    """Difference from the shortlist's best score, at most 0 for its own items."""
    best = getattr(context.shortlist, scores).max(initial=-np.inf)
    gap: Scores = getattr(context.candidates, scores) - best
    return gap


def _log(share: Scores) -> Scores:
    logarithm: Scores = np.log(share + np.float32(FLOOR))
    return logarithm


def _log_rank(context: FeatureContext, scores: str) -> Scores:
    """log(1 + rank) in the shortlist: the best has rank 0, and ties share their best rank."""
    order = np.sort(-getattr(context.shortlist, scores))
    place = np.searchsorted(order, -getattr(context.candidates, scores))
    ranks: Scores = np.log1p(place).astype(np.float32)
    return ranks

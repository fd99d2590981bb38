"""Features of a user and a candidate item, computed by one function for training and serving.

`FEATURES` lists those of every shop. Those of `TIMED` follow where interactions have times, those
of `RETURNING` where items of a history may be recommended, and those of `SEARCHED` where searches
are logged. To add one, add a line there;
where a line is too short, add a function.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dataset.demand import Demand
from index import demand_eras
from index.arrays import Rows, Scores
from index.by_history import own_logits
from index.ranked_list import RankedList
from index.recall_sources import RecallSources
from lineage.manifest import RECORD, MismatchedArtifactError, command
from lineage.stages import INDEX, RANKER
from retrieval.feature_context import (
    FeatureContext,
    at_age,
    decayed,
    decayed_by_time,
    decayed_mean,
    gap_to_the_best,
    log_days,
    log_rank,
    log_share,
    maximum,
    mean,
    share_in,
    trend,
)


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
    Feature("shortlist score", "logit", lambda c: c.candidates.shortlist_scores),
    Feature(
        "gap to the best shortlist score",
        "logit",
        lambda c: gap_to_the_best(c, "shortlist_scores"),
    ),
    Feature("rank by shortlist score", "log rank", lambda c: log_rank(c, "shortlist_scores")),
    Feature("cosine to the user", "cosine", lambda c: c.candidates.cosines),
    Feature("rank by cosine", "log rank", lambda c: log_rank(c, "cosines")),
    Feature("neighbour score", "log score", lambda c: log_share(c.candidates.neighbour_scores)),
    Feature("rank by neighbour score", "log rank", lambda c: log_rank(c, "neighbour_scores")),
    Feature("recalled by the towers", "bool", lambda c: c.in_shortlist(c.shortlist.by_towers)),
    Feature(
        "recalled by the neighbour lists",
        "bool",
        lambda c: c.in_shortlist(c.shortlist.by_neighbours),
    ),
    Feature("popularity", "log count", lambda c: np.log1p(c.purchases)),
    Feature("history length", "log count", lambda c: np.full(c.count, np.log1p(len(c.history)))),
    Feature("bought with the last item", "log share", lambda c: log_share(at_age(c.together, 0))),
    Feature(
        "bought with the second last item", "log share", lambda c: log_share(at_age(c.together, 1))
    ),
    Feature("bought with any item, maximum", "log share", lambda c: log_share(maximum(c.together))),
    Feature("bought after the last item", "log share", lambda c: log_share(at_age(c.after, 0))),
    Feature(
        "bought after the second last item", "log share", lambda c: log_share(at_age(c.after, 1))
    ),
    Feature("bought after any item, maximum", "log share", lambda c: log_share(maximum(c.after))),
    Feature(
        "bought after all items, decayed sum", "log share", lambda c: log_share(decayed(c, c.after))
    ),
    Feature("bought before the last item", "log share", lambda c: log_share(at_age(c.before, 0))),
    Feature("bought before any item, maximum", "log share", lambda c: log_share(maximum(c.before))),
    Feature("cosine to the last item", "cosine", lambda c: at_age(c.item_cosines, 0)),
    Feature("cosine to the second last item", "cosine", lambda c: at_age(c.item_cosines, 1)),
    Feature("cosine to any item, maximum", "cosine", lambda c: maximum(c.item_cosines)),
    Feature("cosine to all items, mean", "cosine", lambda c: mean(c.item_cosines)),
    Feature(
        "cosine to all items, decayed mean", "cosine", lambda c: decayed_mean(c, c.item_cosines)
    ),
    Feature("era", "standard deviations", lambda c: c.item_times[0]),
    Feature(
        "era minus the last item's",
        "standard deviations",
        lambda c: c.item_times[0] - c.eras[0],
    ),
    Feature(
        "era minus the latest",
        "standard deviations",
        lambda c: c.item_times[0] - c.eras.max(),
    ),
    Feature(
        "era minus the last three's",
        "standard deviations",
        lambda c: c.item_times[0] - c.eras[:3].mean(),
    ),
    Feature("purchases that are a user's last, share", "log share", lambda c: c.item_times[1]),
    Feature("purchases that are a user's last", "log count", lambda c: c.item_times[2]),
    Feature("purchases that are a user's first, share", "log share", lambda c: c.item_times[3]),
)
"""Features of every shop, in column order."""
TIMED = (
    Feature("purchases in the last 7 days", "log count", lambda c: np.log1p(c.bought[0])),
    Feature("purchases in the last 28 days", "log count", lambda c: np.log1p(c.bought[1])),
    Feature("purchases in the last 90 days", "log count", lambda c: np.log1p(c.bought[2])),
    Feature("purchases in the last 7 days, share", "log share", lambda c: share_in(c, 0)),
    Feature("purchases in the last 28 days, share", "log share", lambda c: share_in(c, 1)),
    Feature("purchases in the last 90 days, share", "log share", lambda c: share_in(c, 2)),
    Feature("purchases in 7 days against 28", "log ratio", trend),
    Feature("age of the item", "log days", lambda c: log_days(c.age)),
    Feature("gap to now", "log days", lambda c: np.full(c.count, log_days(c.gap))),
    Feature(
        "bought with all items, decayed by time",
        "log share",
        lambda c: log_share(decayed_by_time(c, c.together)),
    ),
    Feature("recalled by best sellers", "bool", lambda c: c.in_shortlist(c.shortlist.by_sales)),
    Feature("rank by sales", "log rank", lambda c: log_rank(c, "sales")),
)
"""Features that follow where interactions have times."""
RETURNING = (
    Feature("amount that the user had", "logit", lambda c: own_logits(c.candidates.own)),
    Feature("rank by that amount", "log rank", lambda c: log_rank(c, "own")),
    Feature("recalled as an own item", "bool", lambda c: c.in_shortlist(c.shortlist.by_own)),
    Feature("interactions with the item", "log count", lambda c: np.log1p(c.times_had)),
    Feature("recency of the last one by place", "reciprocal", lambda c: c.recency_had),
    Feature("recency of the last one by time", "share", lambda c: c.recency_had_by_time),
)
"""Features that follow where items of a history may be recommended."""
SEARCHED = (
    Feature("words of the search", "share of idf", lambda c: c.candidates.words),
    Feature(
        "gap to the best words of the search", "share of idf", lambda c: gap_to_the_best(c, "words")
    ),
    Feature("rank by words of the search", "log rank", lambda c: log_rank(c, "words")),
    Feature(
        "recalled by words of the search", "bool", lambda c: c.in_shortlist(c.shortlist.by_words)
    ),
    Feature("gap to the best cosine", "cosine", lambda c: gap_to_the_best(c, "cosines")),
)
"""Features that come last where searches are logged."""


def features_of(*, timed: bool, returning: bool, searched: bool = False) -> tuple[Feature, ...]:
    """Features of a dataset, in column order.

    Args:
        timed: Whether interactions have times.
        returning: Whether items of a history may be recommended.
        searched: Whether searches are logged.
    """
    return (
        *FEATURES,
        *(TIMED if timed else ()),
        *(RETURNING if returning else ()),
        *(SEARCHED if searched else ()),
    )


def feature_names(
    *, timed: bool = True, returning: bool = True, searched: bool = False
) -> tuple[str, ...]:
    """Names of the features of `features_of`."""
    columns = features_of(timed=timed, returning=returning, searched=searched)
    return tuple(feature.name for feature in columns)


def require_features(
    names: Sequence[str],
    folder: Path,
    *,
    timed: bool = True,
    returning: bool = True,
    searched: bool = False,
) -> None:
    """Check that a ranker was trained on exactly the features of `features_of`, in this order.

    Args:
        names: Features that the ranker was trained on.
        folder: Folder of the ranker stage.
        timed: Whether interactions have times.
        returning: Whether items of a history may be recommended.
        searched: Whether searches are logged.

    Raises:
        MismatchedArtifactError: features are missing, extra or moved; the message names them and
            the command that makes the ranker again.
    """
    computed = feature_names(timed=timed, returning=returning, searched=searched)
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
    demand: Demand | None = None
    """Purchases by time; None where interactions have no times"""

    @classmethod
    def load(
        cls, folder: Path, sources: RecallSources, popularity: NDArray[np.float64]
    ) -> "Features":
        """Load what the index stage wrote below a folder: item times and demand.

        In a log of searches an item's counts say which searches were logged, not what shoppers
        like, and those of a search that is learnt would give its items away. They are all 0.
        """
        item_times = demand_eras.load(folder / INDEX)
        if sources.searches_alone:
            popularity, item_times = np.zeros_like(popularity), np.zeros_like(item_times)
        return cls(
            sources=sources,
            popularity=popularity,
            item_times=item_times,
            demand=Demand.load(folder / INDEX),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(feature.name for feature in self._columns)

    @property
    def _columns(self) -> tuple[Feature, ...]:
        return features_of(**self._kinds)

    @property
    def _kinds(self) -> dict[str, bool]:
        return {
            "timed": self.demand is not None,
            "returning": self.sources.own_weight is not None,
            "searched": self.sources.searched,
        }

    def require(self, names: Sequence[str], folder: Path) -> None:
        """`require_features` for the columns of this release."""
        require_features(names, folder, **self._kinds)

    def __call__(
        self,
        history: Rows,
        candidates: RankedList,
        *,
        now: int | None = None,
        times: NDArray[np.int64] | None = None,
        interaction_codes: Rows | None = None,
    ) -> Scores:
        """Compute the features of one user's candidates.

        Args:
            history: Item rows, oldest first.
            candidates: Distinct items, a shortlist or with one; then the ranks among others are
                those that they would have in that shortlist, as in training.
            now: Unix seconds before which purchases count; needed where interactions have times.
            times: (history,) Unix seconds of the history's interactions; None if unknown.
            interaction_codes: (history,) interaction codes, whose actions weigh the history's items
                beside each other; None if unknown.

        Returns:
            (candidates, features) float32, columns as in `features_of`.

        Raises:
            ValueError: interactions have times, but `now` is None.
        """
        if self.demand is not None and now is None:
            raise ValueError("now must be given where interactions have times, got None")
        context = FeatureContext(
            sources=self.sources,
            popularity=self.popularity,
            all_item_times=self.item_times,
            demand=self.demand,
            now=now or 0,
            history=history,
            action_weights=self.sources.weights_of(interaction_codes),
            times=times,
            candidates=candidates,
        )
        columns = self._columns
        table = np.empty((len(candidates.rows), len(columns)), np.float32)
        for column, feature in enumerate(columns):
            table[:, column] = feature.function(context)
        return table

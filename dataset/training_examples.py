"""Training examples: every interaction that has a history or a search, with both."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataset.actions import strengths
from dataset.arrays import TRAIN, Dataset
from dataset.cases import moment_starts
from dataset.interaction_codes import whole_seconds
from dataset.searches import NO_SEARCH
from dataset.training_targets import sought, until_the_next


@dataclass(frozen=True, kw_only=True)
class TrainingExamples:
    """(history, target) pairs of the training split, by user, the shortest history first.

    Those that follow a logged search come once more at the end, with the search; there the history
    may be empty.
    """

    items: NDArray[np.int32]
    """(interactions,): item rows that stand in the training split, by user, oldest first."""
    interaction_codes: NDArray[np.int32]
    """(interactions,): interaction codes, see `dataset.interaction_codes`."""
    strengths: NDArray[np.float32]
    """(interactions,): the largest weight of each one's user and item, at most 1."""
    user_starts: NDArray[np.int64]
    """(users + 1,): user u owns `items[user_starts[u]:user_starts[u + 1]]`."""
    user_rows: NDArray[np.int64]
    """(examples,): user row."""
    ends: NDArray[np.int64]
    """(examples,): the history is `items[user_starts[user_row]:end]`; empty only where there is a
    search."""
    targets: NDArray[np.int32]
    """(examples,): item row of the target."""
    weights: NDArray[np.float32] | None
    """(examples,): strength of each target, 1 on average; None if all have the same."""
    searches: Sequence[str] = ()
    """Search of each group."""
    groups: NDArray[np.int64] | None = None
    """(groups + 1,): examples `[groups[g], groups[g + 1])` are the targets of one search; None if
    nobody searched."""

    @property
    def without_search(self) -> int:
        """Number of examples of histories alone, which come first."""
        return len(self) if self.groups is None else int(self.groups[0])

    def __len__(self) -> int:
        return len(self.targets)

    def history(self, example: int) -> NDArray[np.int32]:
        """Item rows of an example's history, oldest first."""
        return self.items[self._span(example)]

    def history_codes(self, example: int) -> NDArray[np.int32]:
        """Interaction codes of `history`."""
        return self.interaction_codes[self._span(example)]

    def positives(self, example: int) -> NDArray[np.int32]:
        """All item rows of the example's user in the training split."""
        user = self.user_rows[example]
        return self.items[self.user_starts[user] : self.user_starts[user + 1]]

    def _span(self, example: int) -> slice:
        """Places of an example's history among the interactions."""
        return slice(self.user_starts[self.user_rows[example]], self.ends[example])


def training_examples(data: Dataset, *, within_baskets: bool = False) -> TrainingExamples:
    """All training examples of a dataset.

    The history holds the user's interactions before the target's moment. What a later interaction
    of the split takes away is neither target nor history. An item that the user met before is a
    target again as in evaluation: if it may come back, and the action would exclude it, such as a
    purchase of a viewed item. A target weighs as much as the strongest that its user did with the
    item until it is a target again, times its relevance. The targets of a moment that follow a
    logged search are one group.

    Args:
        data: The dataset.
        within_baskets: Add examples that complete a basket: the target is predicted from the
            history and the basket's earlier items. The order within a basket carries no
            information and differs between users.

    Returns:
        The examples; none if no user has two moments in the training split.
    """
    kept = data.standing(data.splits == TRAIN)
    users = data.user_of[kept]
    items = data.items[kept]
    starts = np.searchsorted(users, np.arange(data.users + 1))
    begins = moment_starts(users, np.asarray(data.moments[kept]))
    targets = sought(
        users,
        items,
        begins,
        data.action_excludes[np.asarray(data.actions[kept])],
        seconds=whole_seconds(np.asarray(data.times[kept])) if data.timed else None,
        repeats=data.may_repeat,
    )
    places = np.flatnonzero((begins > starts[users]) & targets)
    ends = begins[places]
    of_search = np.full(len(items), NO_SEARCH)
    if data.searches is not None:
        of_search = np.asarray(data.searches.of)[kept]
    if within_baskets:  # what a search found is no basket
        alone = of_search == NO_SEARCH
        inside = np.flatnonzero((begins < np.arange(len(items))) & targets & alone)
        places, ends = np.concatenate([places, inside]), np.concatenate([ends, inside])
        order = np.lexsort((ends, users[places]))
        places, ends = places[order], ends[order]
    searched = np.flatnonzero((of_search != NO_SEARCH) & targets)
    groups, first = _groups(begins[searched], len(places))
    places, ends = np.append(places, searched), np.append(ends, begins[searched])
    weights = data.weights[kept]
    relevant = until_the_next(users, items, targets, weights)[places]
    if data.searches is not None:
        relevant = relevant * np.asarray(data.searches.relevance)[kept][places]
    return TrainingExamples(
        items=items,
        interaction_codes=data.codes(kept, starts),
        strengths=strengths(users, items, weights),
        user_starts=starts,
        user_rows=users[places],
        ends=ends,
        targets=items[places],
        weights=_relative(relevant),
        searches=[data.searches.text(place) for place in of_search[searched[first]].tolist()]
        if data.searches is not None
        else (),
        groups=groups,
    )


def _groups(
    begins: NDArray[np.int64], before: int
) -> tuple[NDArray[np.int64] | None, NDArray[np.int64]]:
    """Bounds of the groups of examples that follow one search, and the first of each.

    Args:
        begins: (examples,) first interaction of each one's moment, ascending.
        before: Examples that precede them.
    """
    if not len(begins):
        return None, np.empty(0, np.int64)
    first = np.flatnonzero(np.diff(begins, prepend=-1))
    return before + np.append(first, len(begins)), first


def _relative(weights: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """(examples,): weights with a mean of 1; None if all are equal."""
    if (weights == weights[:1]).all():
        return None
    relative: NDArray[np.float32] = (weights / weights.mean(dtype=np.float64)).astype(np.float32)
    return relative

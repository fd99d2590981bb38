"""Training examples: every interaction that has a history, with its history."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataset.actions import strengths
from dataset.arrays import TRAIN, Dataset
from dataset.cases import moment_starts
from dataset.interaction_codes import whole_seconds
from dataset.training_targets import sought, until_the_next


@dataclass(frozen=True, kw_only=True)
class TrainingExamples:
    """(history, target) pairs of the training split, by user, the shortest history first."""

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
    """(examples,): the history is `items[user_starts[user_row]:end]`, never empty."""
    targets: NDArray[np.int32]
    """(examples,): item row of the target."""
    weights: NDArray[np.float32] | None
    """(examples,): strength of each target, 1 on average; None if all have the same."""

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
    item until it is a target again.

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
    if within_baskets:
        inside = np.flatnonzero((begins < np.arange(len(items))) & targets)
        places, ends = np.concatenate([places, inside]), np.concatenate([ends, inside])
        order = np.lexsort((ends, users[places]))
        places, ends = places[order], ends[order]
    weights = data.weights[kept]
    return TrainingExamples(
        items=items,
        interaction_codes=data.codes(kept, starts),
        strengths=strengths(users, items, weights),
        user_starts=starts,
        user_rows=users[places],
        ends=ends,
        targets=items[places],
        weights=_relative(until_the_next(users, items, targets, weights)[places]),
    )


def _relative(weights: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """(examples,): weights with a mean of 1; None if all are equal."""
    if (weights == weights[:1]).all():
        return None
    relative: NDArray[np.float32] = (weights / weights.mean(dtype=np.float64)).astype(np.float32)
    return relative

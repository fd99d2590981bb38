"""Cuts users' histories into windows: sequences encoded once that predict at many positions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataset.training_examples import TrainingExamples


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Spans of training interactions; each predicts some consecutive training examples.

    A window ends where the history of its last example ends. Every example is in one window.
    """

    starts: NDArray[np.int64]
    """(windows,): first interaction"""
    ends: NDArray[np.int64]
    """(windows,): one past the last interaction"""
    examples: NDArray[np.int64]
    """(windows + 1,): window w predicts the training examples `[examples[w], examples[w + 1])`"""

    def __len__(self) -> int:
        return len(self.starts)


def windows(examples: TrainingExamples, length: int) -> Windows:
    """Cover all training examples of histories alone with spans of at most `length` interactions.

    A user with more interactions gets several windows. Each later window starts half a window
    before its first example, so that every example sees at least half a window of history, if the
    user has that much.

    Args:
        examples: Training examples in the order of `training_examples`: by user, then by time.
        length: Most interactions of a window, at least 2.

    Raises:
        ValueError: `length` is below 2.
    """
    if length < 2:
        raise ValueError(f"length must be at least 2, got {length}")
    count = examples.without_search
    first_of_user = np.flatnonzero(np.diff(examples.user_rows[:count], prepend=-1))
    edges = np.append(first_of_user, count)
    user_starts = examples.user_starts[examples.user_rows[first_of_user]]
    fits = examples.ends[edges[1:] - 1] - user_starts <= length
    starts, firsts = [user_starts[fits]], [first_of_user[fits]]
    for user in np.flatnonzero(~fits):
        cuts = _cut(examples.ends[edges[user] : edges[user + 1]], int(user_starts[user]), length)
        starts.append(np.array([start for start, _ in cuts], np.int64))
        firsts.append(edges[user] + np.array([first for _, first in cuts], np.int64))
    order = np.argsort(np.concatenate(firsts))
    bounds = np.append(np.concatenate(firsts)[order], count)
    return Windows(
        starts=np.concatenate(starts)[order], ends=examples.ends[bounds[1:] - 1], examples=bounds
    )


def _cut(ends: NDArray[np.int64], user_start: int, length: int) -> list[tuple[int, int]]:
    """First interaction and first training example of each window of one user."""
    found = [(user_start, 0)]
    for example, end in enumerate(ends.tolist()):
        if end - found[-1][0] > length:
            found.append((max(user_start, end - max(length // 2, 1)), example))
    if found[0][0] == user_start and ends[0] - user_start > length:
        found = found[1:]  # the history of the first example is already longer than a window
    return found

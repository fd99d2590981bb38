"""Logged answers of a policy that explored, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from online.estimate import Values

Rows = NDArray[np.int64]
NO_ITEM = -1


@dataclass(frozen=True, kw_only=True)
class Logged:
    """Answers with what was shown, why, and what users did.

    They must be all answers of one placement whose policy explored (`online.exploration`), not only
    those that were clicked.
    """

    users: Rows
    """(answers,) user of each answer, as any number"""
    items: Rows
    """(answers, places) item at each place, -1 where there is none"""
    propensities: Values
    """(answers, places) probability of this item at this place given the places above"""
    rewards: Values
    """(answers, places) clicks on each item, or purchases or income that came of it"""
    shares: Values
    """(answers,) share of the places that the policy explored; 0 if it left this answer alone"""

    def __post_init__(self) -> None:
        for name in ("propensities", "rewards"):
            if (shape := getattr(self, name).shape) != self.items.shape:
                raise ValueError(f"{name} must have the shape {self.items.shape}, got {shape}")
        for name in ("users", "shares"):
            if (shape := getattr(self, name).shape) != (len(self.items),):
                raise ValueError(f"{name} must have the shape {(len(self.items),)}, got {shape}")
        if not len(self.items):
            raise ValueError("items must not be empty")
        shown = self.propensities[self.items != NO_ITEM]
        if not ((shown > 0) & (shown <= 1)).all():  # NaN: an answer that was not drawn
            raise ValueError(
                f"propensities must be above 0 and at most 1, got {shown.min()} to {shown.max()}"
            )
        if not ((self.shares >= 0) & (self.shares < 0.5)).all():
            raise ValueError(
                f"shares must be at least 0 and below 0.5, got {self.shares.min()} to "
                f"{self.shares.max()}"
            )

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def kept(self) -> NDArray[np.bool_]:
        """(answers, places) whether a place shows the list's next item rather than a drawn one."""
        kept: NDArray[np.bool_] = (self.items != NO_ITEM) & (
            self.propensities >= 1 - self.shares[:, None] - 1e-9
        )
        return kept

    @cached_property
    def turn(self) -> Rows:
        """(answers, places) how many items of its kind the answer shows above: kept or drawn ones.

        For a kept item, its place in the list, from 0.
        """
        kept = self.kept
        before: Rows = np.cumsum(kept, axis=1) - kept
        return np.where(kept, before, np.arange(kept.shape[1]) - before)


def folds(users: Rows, count: int) -> Rows:
    """(answers,) fold of each answer; users are dealt to folds in the order of their numbers."""
    return np.unique(users, return_inverse=True)[1] % count


def padded(lists: Sequence[Sequence[int]], places: int) -> Rows:
    """(lists, places) items of lists of several lengths, -1 behind their ends."""
    rows = np.full((len(lists), places), NO_ITEM, np.int64)
    for row, items in zip(rows, lists, strict=True):
        row[: len(items[:places])] = items[:places]
    return rows

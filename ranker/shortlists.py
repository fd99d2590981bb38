"""Shortlists mined through the retriever, as files."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Shortlists:
    """What was recalled for training points and validation users; row -1 is missing.

    Only points whose target was recalled are here: with targets put in by hand, which the
    shortlist scores low, a ranker learns to distrust the shortlist.
    """

    points: NDArray[np.int64]
    """(points,): positions among the dataset's training points."""
    rows: NDArray[np.int32]
    """(points, shortlist): item rows, best first, the history left out, the target among them."""
    scores: NDArray[np.float32]
    """(points, shortlist): their scores, logits."""
    valid_users: NDArray[np.int64]
    """(users,): user rows with something to find in the validation split."""
    valid_rows: NDArray[np.int32]
    """(users, shortlist)"""
    valid_scores: NDArray[np.float32]
    """(users, shortlist)"""

    def save(self, folder: Path) -> None:
        """Write one `.npy` a field."""
        for part in fields(self):
            np.save(folder / f"{part.name}.npy", getattr(self, part.name))

    @classmethod
    def load(cls, folder: Path) -> "Shortlists":
        """Map what `save` wrote."""
        return cls(
            **{f.name: np.load(folder / f"{f.name}.npy", mmap_mode="r") for f in fields(cls)}
        )

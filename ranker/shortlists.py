"""Shortlists that the ranker learns from and is tuned on, as files."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Shortlists:
    """What was recalled for users of the validation split; row -1 is missing.

    The towers have not learnt from these users' targets, so a shortlist says as much of them as it
    will say of what comes next.
    """

    users: NDArray[np.int64]
    """(users,) user rows, those to be learnt from first"""
    learnt: int
    """How many of them are learnt from; the ranker is tuned on the others"""
    rows: NDArray[np.int32]
    """(users, shortlist) item rows, best first, the history left out"""
    scores: NDArray[np.float32]
    """(users, shortlist) what they are ordered by, logits"""
    signals: NDArray[np.float32]
    """(users, shortlist, signals) what else is known of each, columns as in `retrieval.features`"""

    @classmethod
    def create(
        cls, folder: Path, users: NDArray[np.int64], learnt: int, size: int, signals: int
    ) -> "Shortlists":
        """Empty lists whose files are written as they are filled; `flush` ends it.

        Args:
            folder: Where to write.
            users: (users,) user rows, those to be learnt from first.
            learnt: How many those are.
            size: Items a list at most.
            signals: Columns that describe each.
        """
        np.save(folder / "users.npy", users)
        np.save(folder / "learnt.npy", learnt)
        shape = (len(users), size)
        kinds: dict[str, tuple[tuple[int, ...], type]] = {
            "rows": (shape, np.int32),
            "scores": (shape, np.float32),
            "signals": ((*shape, signals), np.float32),
        }
        parts = {
            name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, size)
            for name, (size, dtype) in kinds.items()
        }
        parts["rows"][:] = -1
        return cls(users=users, learnt=learnt, **parts)

    def flush(self) -> None:
        """Write what `create` opened."""
        for values in (self.rows, self.scores, self.signals):
            if isinstance(values, np.memmap):
                values.flush()

    @classmethod
    def load(cls, folder: Path) -> "Shortlists":
        """Map what was written."""
        parts = {f.name: np.load(folder / f"{f.name}.npy", mmap_mode="r") for f in fields(cls)}
        return cls(**{**parts, "learnt": int(parts["learnt"])})

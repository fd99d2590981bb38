"""Stored shortlists that the ranker is trained and tuned on."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lineage.manifest import MismatchedArtifactError, command

ARRAYS = ("places", "learnt", "rows", "scores", "features")
NAMES = "feature_names.json"


@dataclass(frozen=True, kw_only=True)
class Shortlists:
    """Shortlists of cases of the validation split.

    The towers were not trained on the targets of these cases, so a target ranks in its shortlist
    as a future purchase would.
    """

    places: NDArray[np.int64]
    """(cases,) places of the cases among all interactions, the training cases first"""
    learnt: int
    """Number of training cases; the ranker is tuned on the others"""
    rows: NDArray[np.int32]
    """(cases, shortlist) item rows without the history, best first; -1 for padding"""
    scores: NDArray[np.float32]
    """(cases, shortlist) scores that order the items, logits"""
    features: NDArray[np.float32]
    """(cases, shortlist, features) features of each item"""
    feature_names: tuple[str, ...]
    """Names of the features, in column order"""

    @classmethod
    def create(
        cls,
        folder: Path,
        places: NDArray[np.int64],
        learnt: int,
        size: int,
        feature_names: Sequence[str],
    ) -> "Shortlists":
        """Create empty lists, mapped to files; call `flush` when they are filled.

        Args:
            folder: Folder to write to.
            places: (cases,) places of the cases, the training cases first.
            learnt: Number of training cases.
            size: Items per list at most.
            feature_names: Names of the features, in column order.
        """
        np.save(folder / "places.npy", places)
        np.save(folder / "learnt.npy", learnt)
        (folder / NAMES).write_text(json.dumps(list(feature_names), indent=1))
        shape = (len(places), size)
        kinds: dict[str, tuple[tuple[int, ...], type]] = {
            "rows": (shape, np.int32),
            "scores": (shape, np.float32),
            "features": ((*shape, len(feature_names)), np.float32),
        }
        parts = {
            name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, size)
            for name, (size, dtype) in kinds.items()
        }
        parts["rows"][:] = -1
        return cls(places=places, learnt=learnt, feature_names=tuple(feature_names), **parts)

    def flush(self) -> None:
        """Write the arrays that `create` mapped."""
        for values in (self.rows, self.scores, self.features):
            if isinstance(values, np.memmap):
                values.flush()

    @classmethod
    def load(cls, folder: Path) -> "Shortlists":
        """Map the files of a finished stage.

        Raises:
            MismatchedArtifactError: the names do not match the columns in number, or one repeats.
        """
        parts = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
        names, columns = json.loads((folder / NAMES).read_text()), parts["features"].shape[-1]
        if len(set(names)) != columns or len(names) != columns:
            raise MismatchedArtifactError(
                f"{folder / NAMES} must name each of {columns} columns once, got {names}; "
                f"make it again with `{command(folder, 'shortlists')}`"
            )
        return cls(**{**parts, "learnt": int(parts["learnt"])}, feature_names=tuple(names))

"""Stored shortlists that the ranker is trained, tuned and judged on."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lineage.manifest import MismatchedArtifactError, command

ARRAYS = ("places", "learnt", "choosing", "rows", "scores", "features")
NAMES = "feature_names.json"
SEARCHES = "searches.npy"


@dataclass(frozen=True, kw_only=True)
class Shortlists:
    """Shortlists of cases of the validation split.

    The towers were not trained on the targets of these cases, so a target ranks in its shortlist
    as a future purchase would.
    """

    places: NDArray[np.int64]
    """(cases,) places of the cases among all interactions: first those that the ranker learns from,
    then those that choose its pass, then those that decide whether ranking pays"""
    learnt: int
    """Number of cases that the ranker learns from"""
    choosing: int
    """Number of cases that choose the ranker's pass"""
    rows: NDArray[np.int32]
    """(cases, shortlist) item rows without the history, best first; -1 for padding"""
    scores: NDArray[np.float32]
    """(cases, shortlist) scores that order the items, logits"""
    features: NDArray[np.float32]
    """(cases, shortlist, features) features of each item"""
    feature_names: tuple[str, ...]
    """Names of the features, in column order"""
    searches: NDArray[np.float32] | None = None
    """(cases, dimension) embeddings of the searches' words by the item tower, 0 for none; None if
    nobody searched"""

    @classmethod
    def create(
        cls,
        folder: Path,
        places: NDArray[np.int64],
        counts: tuple[int, int],
        size: int,
        feature_names: Sequence[str],
    ) -> "Shortlists":
        """Create empty lists, mapped to files; call `flush` when they are filled.

        Args:
            folder: Folder to write to.
            places: (cases,) places of the cases, in the order of `Shortlists.places`.
            counts: Number of cases to learn from, and of cases that choose the pass.
            size: Items per list at most.
            feature_names: Names of the features, in column order.
        """
        np.save(folder / "places.npy", places)
        for name, count in zip(("learnt", "choosing"), counts, strict=True):
            np.save(folder / f"{name}.npy", count)
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
        return cls(
            places=places,
            learnt=counts[0],
            choosing=counts[1],
            feature_names=tuple(feature_names),
            **parts,
        )

    @property
    def chooses(self) -> slice:
        """Positions of the cases that choose the ranker's pass."""
        return slice(self.learnt, self.learnt + self.choosing)

    @property
    def gates(self) -> slice:
        """Positions of the cases that decide whether ranking pays."""
        return slice(self.learnt + self.choosing, len(self.places))

    @property
    def held_out(self) -> slice:
        """Positions of the cases that the ranker does not learn from."""
        return slice(self.learnt, len(self.places))

    def lacking(self, users: NDArray[np.int64]) -> str:
        """What the lists lack to train a ranker and to decide whether it pays; empty for nothing.

        Args:
            users: (cases,) user row of each case.
        """
        if not len(self.places):
            return "no user's next item can be predicted in the validation split"
        if not self.learnt:
            return "no shortlist to learn from holds an item that its user bought next"
        if not self.choosing or len(np.unique(users[self.gates])) < 2:
            return (
                "too few users are left to choose the ranker's pass and decide whether ranking pays"
            )
        return ""

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
        counts = {name: int(parts[name]) for name in ("learnt", "choosing")}
        path = folder / SEARCHES
        searches = np.load(path, mmap_mode="r") if path.is_file() else None
        return cls(**{**parts, **counts}, feature_names=tuple(names), searches=searches)

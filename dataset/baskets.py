"""Baskets of nobody known: purchases without a user, which count for items alone."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lineage.arrays import read_array

PARTS = ("offsets", "items", "times", "actions", "splits")
_NAME = "baskets"
FULL = 20
"""Items up to which a basket counts as much as a user; chosen on the validation of a shop whose
largest baskets are a day's orders of its website."""


@dataclass(frozen=True, kw_only=True)
class Baskets:
    """Interactions without a user, by basket. By default there are none."""

    offsets: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    """(baskets + 1,): basket b owns `[offsets[b], offsets[b + 1])` of the arrays below."""
    items: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    """(interactions,): item rows."""
    times: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """(interactions,): as those of the users: Unix microseconds, or the source's order."""
    actions: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    """(interactions,): action numbers of the dataset; 0 for unknown."""
    splits: NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))
    """(interactions,): 0 train, 1 valid, 2 test."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def basket_of(self) -> NDArray[np.int64]:
        """(interactions,): numbers of the baskets."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def with_splits(self, splits: NDArray[np.uint8]) -> "Baskets":
        """The same baskets in other splits."""
        return replace(self, splits=splits)

    def after_users(
        self, offsets: NDArray[np.int64], items: NDArray[np.int32], *, kept: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Histories of users, followed by each basket as one more; a basket may be left empty.

        Args:
            offsets: (users + 1,): user u owns `items[offsets[u]:offsets[u + 1]]`.
            items: (interactions of users,) item rows.
            kept: (interactions,) which interactions of the baskets count.
        """
        before = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)
        bounds = len(items) + before[np.asarray(self.offsets)]
        joined = np.concatenate([items, np.asarray(self.items)[kept]])
        return np.concatenate([offsets, bounds[1:]]).astype(np.int64), joined

    def strengths(self, *, kept: NDArray[np.bool_]) -> NDArray[np.float32]:
        """(kept interactions,): how much each counts for neighbours; less in a large basket.

        Every two items of a basket share it, but those of a large one have little in common.

        Args:
            kept: (interactions,) which interactions count.
        """
        baskets = self.basket_of[kept]
        sizes = np.bincount(baskets, minlength=len(self))[baskets]
        return np.minimum(1, FULL / sizes).astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write `baskets.<part>.npy`."""
        for part in PARTS:
            np.save(folder / f"{_NAME}.{part}.npy", getattr(self, part))

    @classmethod
    def load(cls, folder: Path) -> "Baskets":
        """Memory-map the arrays that `save` wrote."""
        return cls(**{part: read_array(folder / f"{_NAME}.{part}.npy") for part in PARTS})

"""Arrays whose rows are added to while others read them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

BLOCK = 1024
"""Rows of a block; blocks are never moved nor made larger."""
Scalar = TypeVar("Scalar", bound=np.generic)


class Grown(Generic[Scalar]):
    """Rows in blocks, as of one moment; later ones share its blocks and leave its rows alone."""

    def __init__(self, shape: tuple[int, ...], dtype: type[Scalar]) -> None:
        """Begin without rows.

        Args:
            shape: Of one row.
            dtype: Of its numbers.
        """
        self._shape, self._dtype, self._rows = shape, dtype, 0
        self._blocks: list[NDArray[Scalar]] = []

    def __len__(self) -> int:
        return self._rows

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows, and the shape of one."""
        return (self._rows, *self._shape)

    def followed_by(self, values: NDArray[Scalar]) -> "Grown[Scalar]":
        """These rows and others behind them. Only the newest may be followed, by one writer."""
        longer = Grown(self._shape, self._dtype)
        longer._blocks, longer._rows = self._blocks, self._rows
        left = values
        while len(left):
            block, place = divmod(longer._rows, BLOCK)
            if block == len(self._blocks):
                self._blocks.append(np.empty((BLOCK, *self._shape), self._dtype))
            some = left[: BLOCK - place]
            self._blocks[block][place : place + len(some)] = some
            longer._rows += len(some)
            left = left[len(some) :]
        return longer

    def blocks(self) -> Iterator[tuple[int, NDArray[Scalar]]]:
        """First row of every block, and its rows."""
        for number, start in enumerate(range(0, self._rows, BLOCK)):
            yield start, self._blocks[number][: self._rows - start]

    def __getitem__(self, rows: NDArray[Any]) -> NDArray[Scalar]:
        """Copies of some rows, (rows' shape, a row's shape)."""
        found = np.empty((*rows.shape, *self._shape), self._dtype)
        blocks = rows // BLOCK
        for number in np.unique(blocks).tolist():
            inside = blocks == number
            found[inside] = self._blocks[number][rows[inside] % BLOCK]
        return found


@dataclass(frozen=True, kw_only=True)
class Extended(Generic[Scalar]):
    """An array that never changes, and grown rows numbered on behind it."""

    base: NDArray[Scalar]
    """(rows, …)"""
    added: Grown[Scalar]
    """Rows of the same shape"""

    def __len__(self) -> int:
        return len(self.base) + len(self.added)

    @property
    def shape(self) -> tuple[int, ...]:
        """As of one array."""
        return (len(self), *self.base.shape[1:])

    def __getitem__(self, rows: NDArray[Any]) -> NDArray[Scalar]:
        """Copies of some rows, (rows' shape, a row's shape)."""
        new = rows >= len(self.base)
        found = np.array(self.base[np.where(new, 0, rows)])
        if new.any():
            found[new] = self.added[rows[new] - len(self.base)]
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: FBT001
        """All rows, copied."""
        if copy is False:
            raise ValueError("copy must not be False: rows lie in several places")
        return np.asarray(self[np.arange(len(self))], dtype)


def extended(array: NDArray[Scalar] | Extended[Scalar], added: Grown[Scalar]) -> Extended[Scalar]:
    """The array that a release was built with, and these added rows behind it.

    Args:
        array: (rows, …) as built, or already with other added rows, which these replace.
        added: Rows of the same shape.
    """
    base = array.base if isinstance(array, Extended) else array
    return Extended(base=base, added=added)

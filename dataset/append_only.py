"""Append-only arrays: rows are added while other threads read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

BLOCK = 1024
"""Rows of a block; blocks are never moved or enlarged."""
Scalar = TypeVar("Scalar", bound=np.generic)


class AppendOnlyArray(Generic[Scalar]):
    """Append-only rows in blocks; longer versions share the blocks and never change these rows."""

    def __init__(self, shape: tuple[int, ...], dtype: type[Scalar]) -> None:
        """Create an array without rows.

        Args:
            shape: Shape of one row.
            dtype: Type of its numbers.
        """
        self._shape, self._dtype, self._rows = shape, dtype, 0
        self._blocks: list[NDArray[Scalar]] = []

    def __len__(self) -> int:
        return self._rows

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all rows together, (rows, …)."""
        return (self._rows, *self._shape)

    def appended(self, values: NDArray[Scalar]) -> "AppendOnlyArray[Scalar]":
        """Return a version with more rows at the end.

        Only the newest version may be appended to, by one writer.
        """
        longer = AppendOnlyArray(self._shape, self._dtype)
        longer._blocks, longer._rows = self._blocks, self._rows
        remaining = values
        while len(remaining):
            block, place = divmod(longer._rows, BLOCK)
            if block == len(self._blocks):
                self._blocks.append(np.empty((BLOCK, *self._shape), self._dtype))
            part = remaining[: BLOCK - place]
            self._blocks[block][place : place + len(part)] = part
            longer._rows += len(part)
            remaining = remaining[len(part) :]
        return longer

    def blocks(self) -> Iterator[tuple[int, NDArray[Scalar]]]:
        """Yield the number of each block's first row, and the block's rows."""
        for number, start in enumerate(range(0, self._rows, BLOCK)):
            yield start, self._blocks[number][: self._rows - start]

    def __getitem__(self, rows: NDArray[Any]) -> NDArray[Scalar]:
        """(shape of `rows`, shape of a row) copies of the given rows."""
        found = np.empty((*rows.shape, *self._shape), self._dtype)
        blocks = rows // BLOCK
        for number in np.unique(blocks).tolist():
            inside = blocks == number
            found[inside] = self._blocks[number][rows[inside] % BLOCK]
        return found


@dataclass(frozen=True, kw_only=True)
class ExtendedArray(Generic[Scalar]):
    """An immutable array followed by append-only rows, numbered as one."""

    base: NDArray[Scalar]
    """(rows, …)"""
    added: AppendOnlyArray[Scalar]
    """Rows of the same shape"""

    def __len__(self) -> int:
        return len(self.base) + len(self.added)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all rows together, (rows, …)."""
        return (len(self), *self.base.shape[1:])

    def __getitem__(self, rows: NDArray[Any]) -> NDArray[Scalar]:
        """(shape of `rows`, shape of a row) copies of the given rows."""
        new = rows >= len(self.base)
        found = np.array(self.base[np.where(new, 0, rows)])
        if new.any():
            found[new] = self.added[rows[new] - len(self.base)]
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: FBT001
        """All rows, copied."""
        if copy is False:
            raise ValueError("copy must not be False: rows are in several blocks")
        return np.asarray(self[np.arange(len(self))], dtype)


def extended(
    array: NDArray[Scalar] | ExtendedArray[Scalar], added: AppendOnlyArray[Scalar]
) -> ExtendedArray[Scalar]:
    """Return a release's array followed by added rows.

    Args:
        array: (rows, …) as built, or with earlier added rows, which `added` replaces.
        added: Rows of the same shape.
    """
    base = array.base if isinstance(array, ExtendedArray) else array
    return ExtendedArray(base=base, added=added)

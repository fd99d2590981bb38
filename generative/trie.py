"""A prefix trie of semantic ids as sorted arrays: a node is a range of items in their order."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows64 = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Level:
    """The prefixes of one length, in lexicographic order."""

    starts: Rows64
    """(nodes + 1,) node n holds the places `[starts[n], starts[n + 1])` of the items' order"""
    codes: NDArray[np.int32]
    """(nodes,) last code of each prefix; 0 for the root"""
    children: Rows64
    """(nodes + 1,) node n has the children `[children[n], children[n + 1])` of the next level"""
    size: int
    """Number of codes of the next level, 0 for the last"""

    @property
    def branches(self) -> Rows64:
        """(nodes,) number of children."""
        return np.diff(self.children)


@dataclass(frozen=True, kw_only=True)
class Trie:
    """All prefixes of the items' codes."""

    levels: tuple[Level, ...]
    """The root alone, then a level for each code"""
    order: Rows64
    """(items,) item rows in the order of their codes"""
    places: Rows64
    """(items,) place of each item row in `order`"""

    @classmethod
    def of(cls, codes: NDArray[np.int32]) -> "Trie":
        """The trie of (items, levels) codes, which differ between items.

        Raises:
            ValueError: two items have the same codes.
        """
        order = np.lexsort(codes.T[::-1])
        ordered = codes[order]
        places = np.empty(len(codes), np.int64)
        places[order] = np.arange(len(codes))
        begins = [np.zeros(1, np.int64)]
        changed = np.zeros(len(codes), bool)
        changed[:1] = True
        for level in range(codes.shape[1]):
            changed[1:] |= np.diff(ordered[:, level]) != 0
            begins.append(np.flatnonzero(changed))
        if len(begins[-1]) != len(codes):
            raise ValueError(
                f"codes must differ between items, got {len(codes) - len(begins[-1])} equal ones"
            )
        return cls(
            levels=tuple(
                Level(
                    starts=np.append(begin, len(codes)),
                    codes=ordered[begin, level - 1] if level else np.zeros(1, np.int32),
                    children=np.append(np.searchsorted(following, begin), len(following)),
                    size=int(codes[:, level].max()) + 1 if level < codes.shape[1] else 0,
                )
                for level, (begin, following) in enumerate(
                    zip(begins, [*begins[1:], np.empty(0, np.int64)], strict=True)
                )
            ),
            order=order,
            places=places,
        )

    @property
    def depth(self) -> int:
        """Number of codes of an item."""
        return len(self.levels) - 1

    def nodes_of(self, level: int, rows: NDArray[np.integer]) -> Rows64:
        """(rows,) node of each item among the prefixes of `level` codes."""
        found: Rows64 = (
            np.searchsorted(self.levels[level].starts, self.places[rows], side="right") - 1
        )
        return found

    def continuing(self, level: int) -> NDArray[np.bool_]:
        """(nodes, codes of the next level): which codes continue each prefix of `level` codes."""
        here, following = self.levels[level], self.levels[level + 1]
        mask = np.zeros((len(here.codes), here.size), bool)
        mask[np.repeat(np.arange(len(here.codes)), here.branches), following.codes] = True
        return mask


@dataclass(frozen=True, kw_only=True)
class Remaining:
    """Which items may be generated, as places in the order of a trie."""

    places: Rows64
    """Places that may be generated, or that may not, ascending"""
    allows: bool
    """Whether `places` are the allowed ones"""

    @classmethod
    def of(
        cls, trie: Trie, excluded: NDArray[np.integer], allowed: NDArray[np.integer] | None
    ) -> "Remaining":
        """What remains of the allowed item rows, None for all, without the excluded ones."""
        if allowed is None:
            return cls(places=np.unique(trie.places[excluded]), allows=False)
        left = np.setdiff1d(allowed, excluded)
        return cls(places=np.sort(trie.places[left]), allows=True)

    def counts(self, starts: Rows64, ends: Rows64) -> Rows64:
        """(nodes,) number of items that remain within `[starts, ends)` of the order."""
        listed = np.searchsorted(self.places, ends) - np.searchsorted(self.places, starts)
        return listed if self.allows else ends - starts - listed

"""Arrays that the data stage writes and every later stage reads, memory-mapped."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from dataset.baskets import Baskets
from dataset.cases import Cases, moment_starts
from dataset.demand import Demand
from dataset.interaction_codes import interaction_codes, whole_seconds
from dataset.popularity import first_of_day
from lineage.arrays import read_array

TRAIN, VALID, TEST = 0, 1, 2
ABOUT = "about.json"
Split = Literal["valid", "test"]


class StringColumn(Sequence[str]):
    """Immutable strings as one UTF-8 block and offsets, both memory-mapped."""

    def __init__(self, block: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
        self._block, self._offsets = block, offsets

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            return [self[i] for i in range(*row.indices(len(self)))]
        if not -len(self) <= row < len(self):
            raise IndexError(f"row must be within {len(self)} strings, got {row}")
        row %= len(self)
        return self._block[self._offsets[row] : self._offsets[row + 1]].tobytes().decode()

    def __iter__(self) -> Iterator[str]:
        block = memoryview(self._block.data)
        return (str(block[start:end], "utf-8") for start, end in pairwise(self._offsets.tolist()))

    def place(self, string: str) -> int | None:
        """Position of a string in a column whose strings ascend by code point; None if absent."""
        block, offsets = self._views
        wanted, low, high = string.encode(errors="surrogatepass"), 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if bytes(block[offsets[middle] : offsets[middle + 1]]) < wanted:
                low = middle + 1
            else:
                high = middle
        found = low < len(self) and block[offsets[low] : offsets[low + 1]] == wanted
        return low if found else None

    @cached_property
    def _views(self) -> tuple[memoryview, memoryview]:
        """Block and offsets, ten times as quick to slice as memory-mapped arrays."""
        return self._block.data, self._offsets.data

    @classmethod
    def of(cls, strings: Sequence[str]) -> "StringColumn":
        """Create a column in memory."""
        encoded = [text.encode() for text in strings]
        offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets)

    @classmethod
    def load(cls, folder: Path, name: str) -> "StringColumn":
        """Memory-map a column that `save` wrote."""
        return cls(_map(folder, f"{name}.utf8"), _map(folder, f"{name}.offsets"))

    @staticmethod
    def save(folder: Path, name: str, strings: Sequence[str]) -> None:
        """Write `<name>.utf8.npy` and `<name>.offsets.npy`."""
        column = strings if isinstance(strings, StringColumn) else StringColumn.of(strings)
        np.save(folder / f"{name}.utf8.npy", column._block)
        np.save(folder / f"{name}.offsets.npy", column._offsets)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Items and users' histories. Ids are strings; rows count from 0."""

    item_ids: StringColumn
    titles: StringColumn
    texts: StringColumn
    """Texts that the item tower reads."""
    user_ids: StringColumn
    offsets: NDArray[np.int64]
    """(users + 1,): user u owns `[offsets[u], offsets[u + 1])` of the interaction arrays."""
    items: NDArray[np.int32]
    """(interactions,): item rows, oldest first within a user."""
    times: NDArray[np.int64]
    """(interactions,): Unix microseconds, or the source's order if it has no times."""
    timed: bool
    """Whether the source has times, and they agree with its order."""
    moments: NDArray[np.int32]
    """(interactions,): number of the user's moment, not decreasing; interactions of one moment
    happened together, so none of them is in another's history."""
    actions: NDArray[np.int32]
    """(interactions,): action numbers; 0 for unknown."""
    action_names: Sequence[str]
    """Names of the actions; numbers count from 1."""
    splits: NDArray[np.uint8]
    """(interactions,): 0 train, 1 valid, 2 test."""
    popularity: NDArray[np.int64]
    """(items,): training interactions of each item, once for each user, action and day."""
    purchases_without_user: Baskets = field(default_factory=Baskets)
    """Baskets of nobody known, in none of the arrays above."""

    @property
    def users(self) -> int:
        """Number of users."""
        return len(self.offsets) - 1

    def for_refit(self, *, before: int = TEST) -> "Dataset":
        """The dataset with the splits below `before`, by default the test, as training data."""
        learnt, baskets = np.asarray(self.splits) < before, self.purchases_without_user
        return replace(
            self,
            splits=_learnt(self.splits, before),
            purchases_without_user=baskets.with_splits(_learnt(baskets.splits, before)),
            popularity=np.bincount(
                np.asarray(self.items)[self.counted(learnt)], minlength=len(self.item_ids)
            ),
        )

    def for_last_fit(self) -> "Dataset":
        """The dataset with every split as training data, for the models that are published."""
        return self.for_refit(before=TEST + 1)

    def counted(self, among: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(interactions,): the first of each user, item, action and day.

        Args:
            among: (interactions,) which interactions to choose from.
        """
        users = np.repeat(np.arange(self.users), np.diff(self.offsets))[among]
        items, actions = np.asarray(self.items)[among], np.asarray(self.actions)[among]
        times = whole_seconds(np.asarray(self.times)[among]) if self.timed else None
        counted = np.zeros(len(among), bool)
        counted[among] = first_of_day(users, items, actions, times)
        return counted

    def history(self, user_row: int, *, before: int = VALID) -> NDArray[np.int32]:
        """Item rows of a user in the splits below `before` (by default training), oldest first."""
        span = slice(self.offsets[user_row], self.offsets[user_row + 1])
        return self.items[span][self.splits[span] < before]

    def history_codes(self, user_row: int, *, before: int = VALID) -> NDArray[np.int32]:
        """Interaction codes of `history`, see `dataset.interaction_codes`."""
        span = slice(self.offsets[user_row], self.offsets[user_row + 1])
        kept = self.splits[span] < before
        times = whole_seconds(self.times[span][kept]) if self.timed else None
        return interaction_codes(times, self.actions[span][kept], np.zeros(1, np.int64))

    def codes_before(self, split: int) -> NDArray[np.int32]:
        """Interaction codes of all users in the splits below `split`; others have no influence."""
        kept = self.splits < split
        times = whole_seconds(self.times[kept]) if self.timed else None
        return interaction_codes(times, self.actions[kept], places_among(kept)[self.offsets[:-1]])

    def cases(self, split: Split) -> Cases:
        """Moments of a split that have a target, in the order of the interactions.

        The history is everything of the user before the moment, in the split and those before it,
        so earlier moments of the split count. Items of the history are no targets.
        """
        code = {"valid": VALID, "test": TEST}[split]
        all_items, all_splits = np.asarray(self.items), np.asarray(self.splits)  # memmaps are slow
        of_split = np.flatnonzero(all_splits == code)
        users = np.searchsorted(self.offsets, of_split, side="right") - 1
        owners = np.repeat(np.arange(self.users), np.diff(self.offsets))
        places, first = np.unique(
            moment_starts(owners, np.asarray(self.moments))[of_split], return_index=True
        )
        kept = all_splits <= code
        items, codes, before = all_items[kept], self.codes_before(code + 1), places_among(kept)
        starts, ends = before[self.offsets[users[first]]], before[places]
        bounds = pairwise([*first.tolist(), len(of_split)])
        targets = [
            np.setdiff1d(all_items[of_split[begin:end]], items[start:until])  # sorted, distinct
            for (begin, end), start, until in zip(bounds, starts, ends, strict=True)
        ]
        chosen = [case for case in np.flatnonzero(starts < ends).tolist() if len(targets[case])]
        histories = [slice(int(starts[case]), int(ends[case])) for case in chosen]
        times = whole_seconds(np.asarray(self.times)) if self.timed else None
        known = None if times is None else times[kept]
        return Cases(
            places=places[chosen].astype(np.int64),
            user_rows=users[first[chosen]].astype(np.int64),
            histories=[items[history] for history in histories],
            interaction_codes=[codes[history] for history in histories],
            targets=[targets[case] for case in chosen],
            times=None if times is None else times[places[chosen]],
            history_times=None if known is None else [known[history] for history in histories],
        )

    def demand(self, *, before: int = TEST + 1) -> Demand | None:
        """Purchases by time of the splits below `before`, as `counted`; None without times."""
        if not self.timed:
            return None
        counted = self.counted(np.asarray(self.splits) < before)
        times = whole_seconds(np.asarray(self.times)[counted])
        return Demand.of(np.asarray(self.items)[counted], times)


def _learnt(splits: NDArray[np.uint8], before: int) -> NDArray[np.uint8]:
    """Splits in which those below `before` are training data."""
    return np.where(np.asarray(splits) < before, TRAIN, splits).astype(np.uint8)


def places_among(kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(interactions + 1,): number of kept interactions before each, and in total at the end."""
    return np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)


def save_dataset(folder: Path, data: Dataset) -> None:
    """Write all arrays of a dataset into a folder."""
    for name in ("item_ids", "titles", "texts", "user_ids"):
        StringColumn.save(folder, name, getattr(data, name))
    for name in ("offsets", "items", "times", "moments", "actions", "splits", "popularity"):
        np.save(folder / f"{name}.npy", getattr(data, name))
    data.purchases_without_user.save(folder)
    about = {"timed": data.timed, "action_names": list(data.action_names)}
    (folder / ABOUT).write_text(json.dumps(about))


def load_dataset(folder: Path) -> Dataset:
    """Memory-map the arrays of a finished data stage; nothing is read until it is used."""
    return Dataset(
        item_ids=StringColumn.load(folder, "item_ids"),
        titles=StringColumn.load(folder, "titles"),
        texts=StringColumn.load(folder, "texts"),
        user_ids=StringColumn.load(folder, "user_ids"),
        offsets=_map(folder, "offsets"),
        items=_map(folder, "items"),
        times=_map(folder, "times"),
        moments=_map(folder, "moments"),
        actions=_map(folder, "actions"),
        splits=_map(folder, "splits"),
        popularity=_map(folder, "popularity"),
        purchases_without_user=Baskets.load(folder),
        **json.loads((folder / ABOUT).read_text()),
    )


def _map(folder: Path, name: str) -> NDArray[Any]:
    array: NDArray[Any] = read_array(folder / f"{name}.npy")
    return array

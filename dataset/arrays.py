"""Arrays that the data stage writes and every later stage reads, memory-mapped."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from dataset.interaction_codes import interaction_codes
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
class Cases:
    """Evaluation cases: users, each with a history and the targets to find."""

    user_rows: NDArray[np.int64]
    """(cases,) user rows."""
    histories: list[NDArray[np.int32]]
    """Item rows of each user, oldest first, never empty."""
    interaction_codes: list[NDArray[np.int32]]
    """Interaction codes of each history, see `dataset.interaction_codes`."""
    targets: list[NDArray[np.int32]]
    """Item rows to find for each user, none of them in the history, never empty."""

    def __len__(self) -> int:
        return len(self.user_rows)

    def select(self, positions: NDArray[np.int64]) -> "Cases":
        """The cases at some positions, in the given order."""
        return Cases(
            user_rows=self.user_rows[positions],
            histories=[self.histories[p] for p in positions],
            interaction_codes=[self.interaction_codes[p] for p in positions],
            targets=[self.targets[p] for p in positions],
        )

    def of_users(self, user_rows: NDArray[np.int64]) -> "Cases":
        """The cases of the given users, in the order of the users.

        Raises:
            ValueError: a user has no case.
        """
        place = {row: at for at, row in enumerate(self.user_rows.tolist())}
        missing = [row for row in user_rows.tolist() if row not in place]
        if missing:
            raise ValueError(f"user_rows must be of users with a case, got {missing[:5]}")
        return self.select(np.array([place[row] for row in user_rows.tolist()], np.int64))

    def sample(self, users: int, seed: int) -> "Cases":
        """A seeded sample without replacement; all cases if there are fewer."""
        order = np.random.default_rng(seed).permutation(len(self))[:users]
        return self.select(np.sort(order))


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
    """(interactions,): Unix seconds, or the source's order if it has no times."""
    timed: bool
    """Whether the source has times, and they agree with its order."""
    actions: NDArray[np.int32]
    """(interactions,): action numbers; 0 for unknown."""
    action_names: Sequence[str]
    """Names of the actions; numbers count from 1."""
    splits: NDArray[np.uint8]
    """(interactions,): 0 train, 1 valid, 2 test."""
    popularity: NDArray[np.int64]
    """(items,): training interactions of each item, once for each user, action and day."""

    @property
    def users(self) -> int:
        """Number of users."""
        return len(self.offsets) - 1

    def for_refit(self) -> "Dataset":
        """The dataset with the validation split as training data, for the served models."""
        learnt = np.asarray(self.splits) < TEST
        return replace(
            self,
            splits=np.where(learnt, TRAIN, self.splits).astype(np.uint8),
            popularity=np.bincount(
                np.asarray(self.items)[self.counted(learnt)], minlength=len(self.item_ids)
            ),
        )

    def counted(self, among: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(interactions,): the first of each user, item, action and day.

        Args:
            among: (interactions,) which interactions to choose from.
        """
        users = np.repeat(np.arange(self.users), np.diff(self.offsets))[among]
        items, actions = np.asarray(self.items)[among], np.asarray(self.actions)[among]
        times = np.asarray(self.times)[among] if self.timed else None
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
        times = self.times[span][kept] if self.timed else None
        return interaction_codes(times, self.actions[span][kept], np.zeros(1, np.int64))

    def codes_before(self, split: int) -> NDArray[np.int32]:
        """Interaction codes of all users in the splits below `split`; others have no influence."""
        kept = self.splits < split
        times = self.times[kept] if self.timed else None
        return interaction_codes(times, self.actions[kept], places_among(kept)[self.offsets[:-1]])

    def cases(self, split: Split) -> Cases:
        """Users with a history and at least one target in a split.

        The history is the training split for `valid`, and training and valid for `test`. Items of
        the history are no targets.
        """
        code = {"valid": VALID, "test": TEST}[split]
        rows, histories, known, targets = [], [], [], []
        all_items, all_splits = np.asarray(self.items), np.asarray(self.splits)  # memmaps are slow
        all_contexts = self.codes_before(code)
        bounds = places_among(all_splits < code)[self.offsets]
        for row, (start, end) in enumerate(pairwise(self.offsets.tolist())):
            items, splits = all_items[start:end], all_splits[start:end]
            history = items[splits < code]
            target = np.setdiff1d(items[splits == code], history)  # sorted, distinct
            if len(history) and len(target):
                rows.append(row)
                histories.append(history)
                known.append(all_contexts[bounds[row] : bounds[row + 1]])
                targets.append(target)
        return Cases(
            user_rows=np.array(rows, np.int64),
            histories=histories,
            interaction_codes=known,
            targets=targets,
        )


def places_among(kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(interactions + 1,): number of kept interactions before each, and in total at the end."""
    return np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)


def save_dataset(folder: Path, data: Dataset) -> None:
    """Write all arrays of a dataset into a folder."""
    for name in ("item_ids", "titles", "texts", "user_ids"):
        StringColumn.save(folder, name, getattr(data, name))
    for name in ("offsets", "items", "times", "actions", "splits", "popularity"):
        np.save(folder / f"{name}.npy", getattr(data, name))
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
        actions=_map(folder, "actions"),
        splits=_map(folder, "splits"),
        popularity=_map(folder, "popularity"),
        **json.loads((folder / ABOUT).read_text()),
    )


def _map(folder: Path, name: str) -> NDArray[Any]:
    array: NDArray[Any] = read_array(folder / f"{name}.npy")
    return array

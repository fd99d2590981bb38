"""Arrays that the data stage writes and every later stage reads, memory-mapped."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from dataset.actions import PLAIN, STRONG, standing, strengths, taken_by, takes_away
from dataset.baskets import Baskets
from dataset.cases import Cases, moment_starts, places_among
from dataset.demand import Demand
from dataset.histories import Histories
from dataset.interaction_codes import interaction_codes, whole_seconds
from dataset.make_cases import Moments, make_cases
from dataset.popularity import first_of_day, weighted_users
from dataset.purchases import STANDS, purchases
from dataset.repeats import Repeats
from dataset.searches import NO_SEARCH, PLACES, RELEVANCE, TEXTS, Searches, are_saved
from lineage.arrays import read_array

TRAIN, VALID, TEST = 0, 1, 2
LONG_AGO = -(1 << 40)
"""Unix seconds of an item of which nobody knows when it was added"""
ABOUT, ADDED = "about.json", "added"
Split = Literal["train", "valid", "test"]


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

    def followed_by(self, strings: Sequence[str]) -> "StringColumn":
        """The column with further strings."""
        more = StringColumn.of(strings)
        return StringColumn(
            np.concatenate([self._block, more._block]),
            np.concatenate([self._offsets, self._offsets[-1] + more._offsets[1:]]),
        )

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
    popularity: NDArray[np.float64]
    """(items,): users of each item in the training split, each counted by the largest weight of the
    standing interactions with it."""
    action_weights: Mapping[str, float] = field(default_factory=dict)
    """Weight of every known action by name, and of "" for none; see `dataset.actions`. Names that
    are not in it have a weight of 1."""
    exclude: Sequence[str] = ()
    """Names of the actions that exclude an item from answers; none for those that count as
    purchases, see `dataset.repeats`."""
    repeats: float | None = None
    """Days after which an excluded item may come back, 0 for at once; None for never."""
    purchases_without_user: Baskets = field(default_factory=Baskets)
    """Baskets of nobody known, in none of the arrays above."""
    searches: Searches | None = None
    """Search and relevance of every interaction; None if the log has neither."""
    added: NDArray[np.int64] | None = None
    """(items,): Unix seconds at which the shop added each item, `LONG_AGO` where unknown; None if
    the catalogue does not say."""

    @cached_property
    def searches_alone(self) -> bool:
        """Whether it is a log of searches: every user searched for one thing, and did no more."""
        if self.searches is None or not self.searches.any:
            return False
        of = np.asarray(self.searches.of)
        first = of[np.minimum(self.offsets[:-1], len(of) - 1)][self.user_of]
        return bool((of != NO_SEARCH).all() and (of == first).all())

    @property
    def users(self) -> int:
        """Number of users."""
        return len(self.offsets) - 1

    @cached_property
    def user_of(self) -> NDArray[np.int64]:
        """(interactions,): user rows."""
        return np.repeat(np.arange(self.users), np.diff(self.offsets))

    @cached_property
    def weight_of_action(self) -> NDArray[np.float32]:
        """(1 + actions,): weight of each action number."""
        names = ("", *self.action_names)
        return np.array([self.action_weights.get(name, PLAIN) for name in names], np.float32)

    @cached_property
    def may_repeat(self) -> Repeats:
        """Rule of the items that may come back."""
        return Repeats(
            actions=tuple(self.exclude), after_days=self.repeats, weights=self.action_weights
        )

    @cached_property
    def action_excludes(self) -> NDArray[np.bool_]:
        """(1 + actions,): whether each action number excludes its item from answers."""
        return np.array([self.may_repeat.excludes(name) for name in ("", *self.action_names)])

    @cached_property
    def items_return(self) -> bool:
        """Whether an item of a history may be recommended: some action does not keep it out."""
        acting = np.unique(np.asarray(self.actions))
        keeping = self.action_excludes[acting][self.weight_of_action[acting] > 0]
        return self.may_repeat.coming_back or not bool(keeping.all())

    @property
    def acting(self) -> tuple[str, ...]:
        """Names of the actions that change a history, also those that only requests have."""
        own = zip(self.action_names, self.weight_of_action[1:].tolist(), strict=True)
        changing = (name for name, weight in own if weight)
        return tuple(dict.fromkeys((*changing, *takes_away(self.action_weights))))

    @cached_property
    def weights(self) -> NDArray[np.float32]:
        """(interactions,): weights of the actions, at most 1; negative for those that take away."""
        return self.weight_of_action[np.asarray(self.actions)]

    def standing(self, among: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(interactions,): which of some interactions count, and none of them takes away.

        Args:
            among: (interactions,) which interactions to look at; others have no influence.
        """
        if (self.weight_of_action > 0).all():
            return among
        stands = np.zeros(len(among), bool)
        items = np.asarray(self.items)[among]
        stands[among] = standing(self.user_of[among], items, self.weights[among])
        return stands

    def popularity_before(self, split: int) -> NDArray[np.float64]:
        """(items,): `popularity` in the splits below `split`."""
        stands = self.standing(np.asarray(self.splits) < split)
        baskets, among = self.purchases_without_user, self.bought_without_user(split)
        users = np.concatenate([self.user_of[stands], self.users + baskets.basket_of[among]])
        items = np.concatenate([np.asarray(self.items)[stands], np.asarray(baskets.items)[among]])
        weights = self.weight_of_action[np.asarray(baskets.actions)[among]]
        of_pair = strengths(users, items, np.concatenate([self.weights[stands], weights]))
        return weighted_users(users, items, of_pair, len(self.item_ids))

    def bought_without_user(self, before: int) -> NDArray[np.bool_]:
        """(interactions of baskets,): those that stand in the splits below `before`."""
        baskets = self.purchases_without_user
        stands: NDArray[np.bool_] = np.asarray(baskets.splits) < before
        weights = self.weight_of_action[np.asarray(baskets.actions)][stands]
        items = np.asarray(baskets.items)[stands]
        stands[stands] = standing(baskets.basket_of[stands], items, weights)
        return stands

    def for_refit(self, *, before: int = TEST) -> "Dataset":
        """The dataset with the splits below `before`, by default the test, as training data."""
        baskets = self.purchases_without_user
        return replace(
            self,
            splits=_learnt(self.splits, before),
            purchases_without_user=baskets.with_splits(_learnt(baskets.splits, before)),
            popularity=self.popularity_before(before),
        )

    def for_last_fit(self) -> "Dataset":
        """The dataset with every split as training data, for the models that are published."""
        return self.for_refit(before=TEST + 1)

    def counted(self, among: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(interactions,): the first of each user, item, action and day.

        Args:
            among: (interactions,) which interactions to choose from.
        """
        users = self.user_of[among]
        items, actions = np.asarray(self.items)[among], np.asarray(self.actions)[among]
        times = whole_seconds(np.asarray(self.times)[among]) if self.timed else None
        counted = np.zeros(len(among), bool)
        counted[among] = first_of_day(users, items, actions, times)
        return counted

    def history(self, user_row: int, *, before: int = VALID) -> NDArray[np.int32]:
        """Item rows that stand of a user in the splits below `before` (by default training)."""
        return self.items[self._places(user_row, before)]

    def history_codes(self, user_row: int, *, before: int = VALID) -> NDArray[np.int32]:
        """Interaction codes of `history`, see `dataset.interaction_codes`."""
        return self.codes(self._places(user_row, before), np.zeros(1, np.int64))

    def _places(self, user_row: int, before: int) -> NDArray[np.int64]:
        """Places of a user's standing interactions in the splits below `before`, oldest first."""
        start, end = int(self.offsets[user_row]), int(self.offsets[user_row + 1])
        places = start + np.flatnonzero(self.splits[start:end] < before)
        weights = self.weight_of_action[self.actions[places]]
        return places[standing(np.zeros_like(places), self.items[places], weights)]

    def codes(
        self, places: NDArray[np.int64] | NDArray[np.bool_], starts: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        """Interaction codes of some interactions, which are histories that begin at `starts`."""
        times = whole_seconds(self.times[places]) if self.timed else None
        return interaction_codes(times, self.actions[places], starts)

    def cases(self, split: Split) -> Cases:
        """Moments of a split that have a target, in the order of the interactions.

        The history is what stands of the user before the moment, in the split and those before it,
        so earlier moments of the split count. `dataset.make_cases` says what the targets are.
        """
        code = {"train": TRAIN, "valid": VALID, "test": TEST}[split]
        splits, actions = np.asarray(self.splits), np.asarray(self.actions)  # memmaps are slow
        of_split, kept = np.flatnonzero(splits == code), splits <= code
        before, stands = places_among(kept), self.standing(kept)
        seconds = whole_seconds(np.asarray(self.times)) if self.timed else None
        past = Histories(
            items=np.asarray(self.items)[kept],
            weights=self.weights[kept],
            actions=actions[kept],
            seconds=None if seconds is None else seconds[kept],
            interaction_codes=self.codes(kept, before[self.offsets[:-1]]),
            excluding=self.action_excludes[actions[kept]],
        )
        begins = moment_starts(self.user_of, np.asarray(self.moments))[of_split]
        places, first = np.unique(begins, return_index=True)
        users = self.user_of[of_split[first]]
        moments = Moments(
            places=places,
            user_rows=users,
            starts=before[self.offsets[users]],
            ends=before[places],
            members=[before[own[stands[own]]] for own in np.split(of_split, first)[1:]],
            times=None if seconds is None else seconds[places],
            searches=self._searches_at(places),
        )
        relevance = None if self.searches is None else self.searches.relevance[kept]
        return make_cases(past, moments, self.may_repeat, relevance)

    def _searches_at(self, places: NDArray[np.int64]) -> list[str]:
        """The search of each moment, by the place of its first interaction."""
        if self.searches is None:
            return [""] * len(places)
        return [self.searches.text(place) for place in self.searches.of[places].tolist()]

    def demand(self, *, before: int = TEST + 1) -> Demand | None:
        """Purchases by time of the splits below `before`; None without times.

        Each user, item, action and day counts once, as does each basket without a user. Of several
        actions, those count that weigh at least half as much as the strongest, such as purchases
        beside views. What a later action takes away, such as a refund, counts up to that time.
        """
        if not self.timed:
            return None
        learnt, baskets = np.asarray(self.splits) < before, self.purchases_without_user
        items, actions = np.asarray(self.items)[learnt], np.asarray(self.actions)[learnt]
        times = whole_seconds(np.asarray(self.times)[learnt])
        weights = self.weights[learnt]
        counted, taken = purchases(self.user_of[learnt], items, actions, times, weights)
        known = np.asarray(baskets.splits) < before
        of_baskets, sold = np.asarray(baskets.items)[known], whole_seconds(baskets.times[known])
        weights = self.weight_of_action[np.asarray(baskets.actions)[known]]
        by = taken_by(baskets.basket_of[known], of_baskets, weights)
        strong = weights >= STRONG
        return Demand.of(
            np.concatenate([items[counted], of_baskets[strong]]),
            np.concatenate([times[counted], sold[strong]]),
            np.concatenate([taken[counted], np.where(by < 0, STANDS, sold[by])[strong]]),
        )


def _learnt(splits: NDArray[np.uint8], before: int) -> NDArray[np.uint8]:
    """Splits in which those below `before` are training data."""
    return np.where(np.asarray(splits) < before, TRAIN, splits).astype(np.uint8)


def save_dataset(folder: Path, data: Dataset) -> None:
    """Write all arrays of a dataset into a folder."""
    for name in ("item_ids", "titles", "texts", "user_ids"):
        StringColumn.save(folder, name, getattr(data, name))
    for name in ("offsets", "items", "times", "moments", "actions", "splits", "popularity"):
        np.save(folder / f"{name}.npy", getattr(data, name))
    data.purchases_without_user.save(folder)
    if data.searches is not None:
        StringColumn.save(folder, TEXTS, data.searches.texts)
        data.searches.save(folder)
    if data.added is not None:
        np.save(folder / f"{ADDED}.npy", data.added)
    about = {
        "timed": data.timed,
        "action_names": list(data.action_names),
        "action_weights": dict(data.action_weights),
        "exclude": list(data.exclude),
        "repeats": data.repeats,
    }
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
        searches=_load_searches(folder),
        added=_map(folder, ADDED) if (folder / f"{ADDED}.npy").is_file() else None,
        **json.loads((folder / ABOUT).read_text()),
    )


def _load_searches(folder: Path) -> Searches | None:
    if not are_saved(folder):
        return None
    return Searches(
        texts=StringColumn.load(folder, TEXTS),
        of=_map(folder, PLACES),
        relevance=_map(folder, RELEVANCE),
    )


def _map(folder: Path, name: str) -> NDArray[Any]:
    array: NDArray[Any] = read_array(folder / f"{name}.npy")
    return array

"""Events that happened after a dataset ended, and the dataset with them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from dataset.actions import STRONG
from dataset.arrays import TRAIN, Dataset
from dataset.demand import Demand
from dataset.interaction_codes import DAY, MICROSECONDS, whole_seconds
from dataset.popularity import first_of_day

SEVERAL = 10
"""Users who must have acted since a time before that time is now, so that nobody moves now alone"""


@dataclass(frozen=True, kw_only=True)
class LaterEvents:
    """Events of known items, oldest first; those of one second in the order of recording."""

    users: NDArray[np.int64]
    """(events,) user rows; from `Dataset.users` on they are new users, in order of appearance"""
    items: NDArray[np.int32]
    """(events,) item rows"""
    actions: NDArray[np.int32]
    """(events,) action numbers of `with_actions`"""
    times: NDArray[np.int64]
    """(events,) Unix seconds"""

    def __len__(self) -> int:
        return len(self.items)

    def chosen(self, which: NDArray[np.bool_] | slice) -> "LaterEvents":
        """Some of the events."""
        return replace(self, **{f.name: getattr(self, f.name)[which] for f in fields(self)})

    def before(self, time: int) -> "LaterEvents":
        """The events before a time, Unix seconds."""
        return self.chosen(slice(int(np.searchsorted(self.times, time))))


def end_of(data: Dataset) -> int:
    """Unix seconds of the newest interaction of a timed dataset; 0 without any."""
    times = (data.times, data.purchases_without_user.times)
    return max(int(np.max(of, initial=0)) for of in times) // MICROSECONDS


def with_actions(data: Dataset, actions: Sequence[str]) -> Dataset:
    """The dataset with further action names; those without a weight weigh as no action does."""
    names = tuple(dict.fromkeys((*data.action_names, *actions)))
    plain = float(data.weight_of_action[0])
    weights = {name: plain for name in actions if name not in data.action_names}
    return replace(data, action_names=names, action_weights=weights | dict(data.action_weights))


def with_later(data: Dataset, later: LaterEvents) -> Dataset:
    """The dataset as if it had ended with the events, which are training data.

    Args:
        data: Timed dataset of `with_actions`; its user ids stay, so that new users have none.
        later: Events later than `end_of` the dataset.
    """
    users = np.concatenate([data.user_of, later.users])
    order = np.argsort(users, kind="stable")
    size = max(data.users, 1 + int(later.users.max(initial=-1)))
    return replace(
        data,
        offsets=np.searchsorted(users[order], np.arange(size + 1)),
        items=np.concatenate([data.items, later.items])[order],
        actions=np.concatenate([data.actions, later.actions])[order],
        times=np.concatenate([data.times, later.times * MICROSECONDS])[order],
        moments=np.concatenate([data.moments, _moments(data, later)])[order],
        splits=np.concatenate([data.splits, np.full(len(later), TRAIN, np.uint8)])[order],
    )


def _moments(data: Dataset, later: LaterEvents) -> NDArray[np.int32]:
    """(events,) numbers of the users' moments, which go on from those of the dataset."""
    last = np.full(max(data.users, 1 + int(later.users.max(initial=-1))), -1, np.int64)
    acted = np.flatnonzero(np.diff(data.offsets))
    last[acted] = np.asarray(data.moments)[np.asarray(data.offsets)[acted + 1] - 1]
    order = np.lexsort((later.times, later.users))
    users, times = later.users[order], later.times[order]
    first_of_user, new = np.ones(len(order), bool), np.ones(len(order), bool)
    first_of_user[1:] = np.diff(users) != 0
    new[1:] = first_of_user[1:] | (np.diff(times) != 0)
    number = np.cumsum(new)
    before = number[first_of_user][np.cumsum(first_of_user) - 1] - 1
    moments = np.empty(len(order), np.int32)
    moments[order] = last[users] + number - before
    return moments


def last_day(data: Dataset) -> LaterEvents:
    """The interactions of a dataset on its last day (UTC), which later events may repeat."""
    end = end_of(data)
    times = np.asarray(data.times)
    places = np.flatnonzero(times >= (end - end % DAY) * MICROSECONDS)
    return LaterEvents(
        users=np.searchsorted(data.offsets, places, side="right") - 1,
        items=np.asarray(data.items)[places],
        actions=np.asarray(data.actions)[places],
        times=whole_seconds(times[places]),
    )


def purchases_of(data: Dataset, later: LaterEvents, of_last_day: LaterEvents) -> LaterEvents:
    """The events that `Dataset.demand` would count: strong ones, as often as their users may.

    Args:
        data: Dataset of `with_actions`.
        later: Later events.
        of_last_day: `last_day` of the dataset.
    """
    strong = later.chosen(data.weight_of_action[later.actions] >= STRONG)
    both = [
        np.concatenate([getattr(of_last_day, f.name), getattr(strong, f.name)])
        for f in fields(LaterEvents)
    ]
    return strong.chosen(first_of_day(*both)[len(of_last_day) :])


def with_purchases(demand: Demand, purchases: LaterEvents) -> Demand:
    """Demand with later purchases; its newest time moves with `SEVERAL` users, not with one."""
    moved = demand.with_events(purchases.items, purchases.times)
    return replace(moved, newest=max(demand.newest, _time_of_several(purchases)))


def _time_of_several(purchases: LaterEvents) -> int:
    """Unix seconds since when `SEVERAL` users have bought; 0 if they are fewer."""
    users, rows = np.unique(purchases.users, return_inverse=True)
    if len(users) < SEVERAL:
        return 0
    newest = np.zeros(len(users), np.int64)
    np.maximum.at(newest, rows, purchases.times)
    return int(np.partition(newest, -SEVERAL)[-SEVERAL])

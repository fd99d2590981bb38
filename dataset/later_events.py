"""Events that happened after a dataset ended, and the dataset with them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from dataset.arrays import TRAIN, Dataset
from dataset.demand import Demand
from dataset.interaction_codes import DAY, MICROSECONDS, whole_seconds
from dataset.purchases import purchases

QUIET = 7 * DAY
"""Longest silence, seconds, after which an event goes on with the data of a shop at work"""
SEVERAL = 10
"""Users who must have bought since a time before that time is now, after a longer silence"""


@dataclass(frozen=True, kw_only=True)
class LaterEvents:
    """Events of known items, oldest first; those of one second in the order of recording."""

    users: NDArray[np.int64]
    """(events,) user rows; from `Dataset.users` on they are new users, in order of appearance"""
    items: NDArray[np.int32]
    """(events,) item rows, those of `with_items` included"""
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


def with_items(data: Dataset, item_ids: Sequence[str]) -> Dataset:
    """The dataset with further items, which nobody has bought."""
    return replace(
        data,
        item_ids=data.item_ids.followed_by(item_ids),
        popularity=np.append(data.popularity, np.zeros(len(item_ids))),
    )


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
        searches=None if data.searches is None else data.searches.extended(len(later)).take(order),
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
    return _interactions(data, np.flatnonzero(np.asarray(data.times) >= _start_of_last_day(data)))


def _start_of_last_day(data: Dataset) -> int:
    end = end_of(data)
    return (end - end % DAY) * MICROSECONDS


def _interactions(data: Dataset, places: NDArray[np.int64]) -> LaterEvents:
    return LaterEvents(
        users=np.searchsorted(data.offsets, places, side="right") - 1,
        items=np.asarray(data.items)[places],
        actions=np.asarray(data.actions)[places],
        times=whole_seconds(np.asarray(data.times)[places]),
    )


def _joined(first: LaterEvents, second: LaterEvents) -> LaterEvents:
    both = {
        f.name: np.concatenate([getattr(first, f.name), getattr(second, f.name)])
        for f in fields(LaterEvents)
    }
    return LaterEvents(**both)


@dataclass(frozen=True, kw_only=True)
class LaterPurchases:
    """Purchases after a dataset ended, and those of the dataset that were taken away since."""

    events: LaterEvents
    """The purchases"""
    taken: NDArray[np.int64]
    """(purchases,) Unix seconds since which they do not count, negative for those that stand"""
    undone: LaterEvents
    """Purchases of the dataset"""
    undone_at: NDArray[np.int64]
    """(undone,) Unix seconds since which they do not count"""
    newest: int
    """Unix seconds of the newest event of any kind that tells what happens now"""

    def __len__(self) -> int:
        return len(self.events)


def purchases_of(data: Dataset, later: LaterEvents, of_last_day: LaterEvents) -> LaterPurchases:
    """What the events change in `Dataset.demand`, which counts a user's purchases of a day once.

    Args:
        data: Dataset of `with_actions`.
        later: Later events.
        of_last_day: `last_day` of the dataset.
    """
    known = _joined(_what_may_be_undone(data, later), of_last_day)
    own, (counted, taken) = _purchases(data, known)[1], _purchases(data, _joined(known, later))
    size = len(known)
    since = counted[:size] & (taken[:size] >= 0) & (own < 0)
    bought = later.chosen(counted[size:])
    return LaterPurchases(
        events=bought,
        taken=taken[size:][counted[size:]],
        undone=known.chosen(since),
        undone_at=taken[:size][since],
        newest=_newest(later.times, max(end_of(data), _time_of_several(bought))),
    )


def _purchases(data: Dataset, events: LaterEvents) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    columns = (events.users, events.items, events.actions, events.times)
    return purchases(*columns, data.weight_of_action[events.actions])


def _what_may_be_undone(data: Dataset, later: LaterEvents) -> LaterEvents:
    """Interactions before the dataset's last day with items that their users took away since."""
    away = later.chosen(data.weight_of_action[later.actions] < 0)
    users = np.unique(away.users[away.users < data.users])
    spans = [np.arange(data.offsets[user], data.offsets[user + 1]) for user in users.tolist()]
    places = np.concatenate([np.empty(0, np.int64), *spans])
    of_users = np.repeat(users, [len(span) for span in spans])
    items, size = np.asarray(data.items)[places], len(data.item_ids)
    touched = np.isin(of_users * size + items, away.users * size + away.items)
    touched &= np.asarray(data.times)[places] < _start_of_last_day(data)
    return _interactions(data, places[touched])


def with_purchases(demand: Demand, bought: LaterPurchases) -> Demand:
    """Demand with later purchases, whose newest time is that of `LaterPurchases`."""
    moved = demand.with_events(bought.events.items, bought.events.times, bought.taken)
    moved = moved.with_taken(bought.undone.items, bought.undone.times, bought.undone_at)
    return replace(moved, newest=max(demand.newest, bought.newest))


def _newest(times: NDArray[np.int64], since: int) -> int:
    """Unix seconds up to which events go on from a time without a silence of more than `QUIET`."""
    known = np.append(since, times[times > since])
    silences = np.flatnonzero(np.diff(known) > QUIET)
    return int(known[silences[0] if len(silences) else -1])


def _time_of_several(purchases: LaterEvents) -> int:
    """Unix seconds since when `SEVERAL` users have bought; 0 if they are fewer."""
    users, rows = np.unique(purchases.users, return_inverse=True)
    if len(users) < SEVERAL:
        return 0
    newest = np.zeros(len(users), np.int64)
    np.maximum.at(newest, rows, purchases.times)
    return int(np.partition(newest, -SEVERAL)[-SEVERAL])

"""A user's history in a release, joined with the user's later events."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dataset.actions import fold_action
from dataset.arrays import Dataset
from dataset.histories import History, history_of
from dataset.interaction_codes import MICROSECONDS, action_numbers, whole_seconds
from shortlist_client.api.event import Event


def history_with(
    data: Dataset,
    span: slice,
    since: Sequence[tuple[int, Event]],
    actions: Mapping[str, int],
) -> History:
    """What stands of a user's full history, and what the user took away.

    A release may contain some of the events; those count once. The release contains an event if
    the user did the same with the same item in the same second; without times, at any time.

    Args:
        data: Data stage of the release.
        span: Places of the user's interactions in the release; empty for an unknown user.
        since: Item rows and events, oldest first. An event older than the last interaction in the
            release is placed after it, with that interaction's time.
        actions: Numbers of the release's actions, by name.
    """
    items, numbers = data.items[span], data.actions[span]
    weights, excluding = data.weight_of_action[numbers], data.action_excludes[numbers]
    times = whole_seconds(data.times[span]) if data.timed else data.times[span]
    if since:
        weighed = weights_by_name(data, [event.action for _, event in since])
        known = set(_keys(items, times if data.timed else None, numbers, weights))
        named = action_numbers([event.action for _, event in since], actions)
        rows = np.array([row for row, _ in since], np.int32)
        seconds = np.array([event.time for _, event in since], np.int64)
        keys = _keys(rows, seconds if data.timed else None, named, weighed)
        fresh = [at for at, key in enumerate(keys) if key not in known]
        new = [since[at] for at in fresh]
        weights = np.concatenate([weights, weighed[fresh]])
        items = np.concatenate([items, np.array([row for row, _ in new], np.int32)])
        times = np.concatenate([times, np.array([event.time for _, event in new], np.int64)])
        numbers = np.concatenate([numbers, named[fresh]])
        left_out = excluding_by_name(data, [event.action for _, event in new])
        excluding = np.concatenate([excluding, left_out])
    when = np.maximum.accumulate(times) if data.timed else None
    return history_of(items, weights, numbers, when, excluding)


def weights_by_name(data: Dataset, actions: Sequence[str]) -> NDArray[np.float32]:
    """(actions,) weights of named actions, also of those that the release's interactions lack."""
    plain, known = data.weight_of_action[0], data.action_weights
    return np.array([known.get(fold_action(name), plain) for name in actions], np.float32)


def excluding_by_name(data: Dataset, actions: Sequence[str]) -> NDArray[np.bool_]:
    """(actions,) whether named actions exclude their items from answers."""
    return np.array([data.may_repeat.excludes(fold_action(name)) for name in actions], bool)


def span_after(data: Dataset, user: int, until: int | None) -> slice:
    """Places of a user's interactions in the release that an erasure left.

    Args:
        data: Data stage of the release.
        user: Row of the user.
        until: Unix seconds up to which interactions count no more; None if all count. Without
            times, none counts after an erasure.
    """
    start, end = int(data.offsets[user]), int(data.offsets[user + 1])
    if until is None:
        return slice(start, end)
    if not data.timed:
        return slice(end, end)
    later = (until + 1) * MICROSECONDS  # the release knows finer times than an erasure
    return slice(start + int(np.searchsorted(data.times[start:end], later)), end)


def _keys(
    items: NDArray[np.int32],
    times: NDArray[np.int64] | None,
    numbers: NDArray[np.int32],
    weights: NDArray[np.float32],
) -> list[tuple[int, int, int, bool]]:
    """What tells whether a release contains an event: item, second and action.

    Names that the release lacks share a number, so whether one takes away is told apart.
    """
    seconds = [0] * len(items) if times is None else times.tolist()
    columns = (items.tolist(), seconds, numbers.tolist(), (weights < 0).tolist())
    return list(zip(*columns, strict=True))

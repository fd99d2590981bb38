"""A user's history in a release, joined with the user's later events."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dataset.arrays import Dataset
from dataset.interaction_codes import (
    MICROSECONDS,
    action_numbers,
    interaction_codes,
    whole_seconds,
)
from shortlist_client.api.event import Event

START = np.zeros(1, np.int64)
"""Offsets for a batch of one history"""


def history_with(
    data: Dataset,
    span: slice,
    since: Sequence[tuple[int, Event]],
    actions: Mapping[str, int],
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64] | None]:
    """Item rows, interaction codes and times of a user's full history, oldest first.

    The times are Unix seconds, None if the release has none.

    A release may contain some of the events; those count once. The release contains an event if
    the user's history has the same item in the same second; without times, the same item suffices.

    Args:
        data: Data stage of the release.
        span: Places of the user's interactions in the release; empty for an unknown user.
        since: Item rows and events, oldest first. An event older than the last interaction in the
            release is placed after it, with that interaction's time.
        actions: Numbers of the release's actions, by name.
    """
    items, numbers = data.items[span], data.actions[span]
    times = whole_seconds(data.times[span]) if data.timed else data.times[span]
    if since:
        new = _not_contained(items, times, since, timed=data.timed)
        items = np.concatenate([items, np.array([row for row, _ in new], np.int32)])
        times = np.concatenate([times, np.array([event.time for _, event in new], np.int64)])
        new_numbers = action_numbers([event.action for _, event in new], actions)
        numbers = np.concatenate([numbers, new_numbers])
    when = np.maximum.accumulate(times) if data.timed else None
    return items, interaction_codes(when, numbers, START), when


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


def _not_contained(
    items: NDArray[np.int32],
    times: NDArray[np.int64],
    since: Sequence[tuple[int, Event]],
    *,
    timed: bool,
) -> list[tuple[int, Event]]:
    """Events that a history of the release does not contain."""
    if timed:
        met = set(zip(items.tolist(), times.tolist(), strict=True))
        return [(row, event) for row, event in since if (row, event.time) not in met]
    known = set(items.tolist())
    return [(row, event) for row, event in since if row not in known]

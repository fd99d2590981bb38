"""A user's history in a release, and what the user did since."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dataset.arrays import Dataset
from dataset.interaction_codes import action_numbers, interaction_codes
from shortlist_client.api.event import Event

START = np.zeros(1, np.int64)
"""Where a single history begins"""


def history_with(
    data: Dataset,
    user: int | None,
    since: Sequence[tuple[int, Event]],
    actions: Mapping[str, int],
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Item rows and interaction codes of a history, oldest first; what is known twice counts once.

    A release that was built after some events were exported holds them, too: an event is known to
    it when the user met the same item in the same second, or, where it has no times, the same item.

    Args:
        data: Of the release.
        user: Row in the release, None where it does not know the user.
        since: Item rows and events, oldest first. One that is older than the last that the release
            knows comes after it all the same, as if in the same second.
        actions: Numbers of the actions that the release knows, by name.
    """
    span = slice(0, 0) if user is None else slice(data.offsets[user], data.offsets[user + 1])
    items, times, numbers = data.items[span], data.times[span], data.actions[span]
    if since:
        new = _unknown(items, times, since, timed=data.timed)
        items = np.concatenate([items, np.array([row for row, _ in new], np.int32)])
        times = np.concatenate([times, np.array([event.time for _, event in new], np.int64)])
        done = action_numbers([event.action for _, event in new], actions)
        numbers = np.concatenate([numbers, done])
    when = np.maximum.accumulate(times) if data.timed else None
    return items, interaction_codes(when, numbers, START)


def _unknown(
    items: NDArray[np.int32],
    times: NDArray[np.int64],
    since: Sequence[tuple[int, Event]],
    *,
    timed: bool,
) -> list[tuple[int, Event]]:
    """Those of some events that a history of the release does not hold."""
    if timed:
        met = set(zip(items.tolist(), times.tolist(), strict=True))
        return [(row, event) for row, event in since if (row, event.time) not in met]
    known = set(items.tolist())
    return [(row, event) for row, event in since if row not in known]

"""Joins events with the exposures that they follow from."""

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from shortlist_client.api.event import CLICK, IMPRESSION, Event
from shortlist_client.api.exposure import Exposure

Ints = npt.NDArray[np.int64]
Codes = defaultdict[Hashable, int]
DAY = 86_400


@dataclass(frozen=True, kw_only=True)
class Windows:
    """How long after an answer an event may follow from it."""

    days: float = 7.0
    """Time after the answer in which an event counts for it, days."""
    of_action: Mapping[str, float] = field(
        default_factory=lambda: MappingProxyType({CLICK: 1.0, IMPRESSION: 1.0})
    )
    """Other times for some actions, days."""
    skew_seconds: int = 300
    """How much earlier than the answer an event may be that names its request: the clocks of the
    shop and of the server differ."""

    def __post_init__(self) -> None:
        for name, days in {"days": self.days, **self.of_action}.items():
            if not 0 < days < math.inf:
                raise ValueError(f"window {name} must be positive, got {days:g}")
        if self.skew_seconds < 0:
            raise ValueError(f"skew_seconds must be at least 0, got {self.skew_seconds}")

    def seconds(self, action: str) -> int:
        """Window of an action, seconds."""
        return int(DAY * self.of_action.get(action, self.days))


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """What each event follows from."""

    exposure: Ints
    """(events,) Place of the exposure among the given ones; -1 for none."""
    position: Ints
    """(events,) Position of the item in it, from 1; 0 for none."""


def join(exposures: Sequence[Exposure], events: Sequence[Event], windows: Windows) -> Outcomes:
    """Credit each event to the shown item that it follows from, or to none.

    An event that names a request belongs to the newest exposure of that request, to its own user or
    to a stranger, which shows the item. Any other one belongs to the newest exposure of its user
    which shows the item; strangers have none. The exposure is no later than the event, apart from
    `skew_seconds` where the request is named, and at most a window older. Each event is credited
    once. An item that an answer shows twice counts at its first position.

    Args:
        exposures: Within one second in the order of recording; users as stored.
        events: Users as stored, under the same names as those of the exposures.
        windows: How long after an answer an event may follow from it.
    """
    codes = Codes()
    codes.default_factory = codes.__len__
    shown = _shown_rows(exposures, codes)
    item, at = _codes(codes, (event.item_id for event in events)), _ints(e.time for e in events)
    window = _ints(windows.seconds(event.action) for event in events)
    named = np.fromiter((event.request_id != "" for event in events), bool, len(events))
    own = _codes(codes, ((event.request_id, event.user_id) for event in events))
    stranger = _codes(codes, ((event.request_id, "") for event in events))
    user = _codes(codes, (event.user_id for event in events))
    late = at + windows.skew_seconds
    by_request = np.maximum(
        shown.newest(shown.request, own, item, late),
        shown.newest(shown.request, stranger, item, late),
    )
    row = np.where(named, by_request, shown.newest(shown.user, user, item, at))
    found = np.flatnonzero(row >= 0)
    row[found[at[found] - shown.time[row[found]] > window[found]]] = -1
    return Outcomes(
        exposure=np.append(shown.exposure, -1)[row], position=np.append(shown.position, 0)[row]
    )


@dataclass(frozen=True, kw_only=True)
class _ShownRows:
    """One row for each shown item, ascending by time; arrays of the same length."""

    exposure: Ints
    position: Ints
    time: Ints
    item: Ints
    request: Ints
    """Codes of (request id, user)"""
    user: Ints

    def newest(self, of: Ints, wanted: Ints, item: Ints, at: Ints) -> Ints:
        """Last row of each wanted (`of`, item) that is not later than `at`; -1 for none."""
        count = len(self.time)
        joint = np.lexsort(
            (
                np.repeat([0, 1], [count, len(at)]),  # what is shown comes before what it causes
                np.concatenate([self.time, at]),
                np.concatenate([self.item, item]),
                np.concatenate([of, wanted]),
            )
        )
        is_event = joint >= count
        last = np.maximum.accumulate(np.where(is_event, -1, np.arange(len(joint))))
        found = np.full(len(at), -1)
        event, place = joint[is_event] - count, last[is_event]
        event, row = event[place >= 0], joint[place[place >= 0]]
        same = (of[row] == wanted[event]) & (self.item[row] == item[event])
        found[event[same]] = row[same]
        return found


def _shown_rows(exposures: Sequence[Exposure], codes: Codes) -> _ShownRows:
    order = sorted(range(len(exposures)), key=lambda n: exposures[n].time)
    rows = [
        (place, position, codes[item_id])
        for place in order
        for item_id, position in _first_positions(exposures[place].item_ids).items()
    ]
    exposure, position, item = np.array(rows, np.int64).reshape(-1, 3).T
    return _ShownRows(
        exposure=exposure,
        position=position,
        item=item,
        time=_ints(one.time for one in exposures)[exposure],
        request=_codes(codes, ((one.request_id, one.user_id) for one in exposures))[exposure],
        user=_codes(codes, (one.user_id for one in exposures))[exposure],
    )


def _first_positions(item_ids: Sequence[str]) -> Mapping[str, int]:
    return {item_id: len(item_ids) - n for n, item_id in enumerate(reversed(item_ids))}


def _codes(codes: Codes, values: Iterable[Hashable]) -> Ints:
    return _ints(codes[value] for value in values)


def _ints(values: Iterable[int]) -> Ints:
    return np.fromiter(values, np.int64)

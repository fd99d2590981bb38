"""Events are credited to what was shown as a plain search through all exposures says."""

import random

import numpy as np
import pytest

from online.outcomes import DAY, Windows, join
from shortlist_client.api.event import Event
from shortlist_client.api.exposure import Exposure

WINDOWS = Windows()


def shown(time, *item_ids, request="", user="u"):
    return Exposure(
        request_id=request or f"r{time}",
        time=time,
        user_id=user,
        method="recommend",
        item_ids=item_ids,
        scores=(0.0,) * len(item_ids),
    )


def event(time, item_id="i", action="purchase", user="u", request=""):
    return Event(user_id=user, item_id=item_id, action=action, time=time, request_id=request)


def credited(exposures, events, windows=WINDOWS):
    """Exposure and position of each event; None for none."""
    outcomes = join(exposures, events, windows)
    pairs = zip(outcomes.exposure.tolist(), outcomes.position.tolist(), strict=True)
    return [None if pair == (-1, 0) else pair for pair in pairs]


def test_an_event_is_credited_to_the_newest_answer_before_it_that_shows_the_item():
    exposures = [shown(100, "a", "i"), shown(200, "i"), shown(250, "b"), shown(300, "i", "b")]

    events = [event(150), event(200), event(299), event(10_000), event(260, "b"), event(260, "c")]

    assert credited(exposures, events) == [(0, 2), (1, 1), (1, 1), (3, 1), (2, 1), None]


def test_an_event_before_every_answer_is_credited_to_none():
    assert credited([shown(100, "i")], [event(99), event(0)]) == [None, None]


@pytest.mark.parametrize(
    ("action", "days"), [("purchase", 7), ("refund", 7), ("click", 1), ("impression", 1)]
)
def test_a_window_ends_with_its_last_second(action, days):
    last = 100 + days * DAY
    events = [event(last, action=action), event(last + 1, action=action)]

    assert credited([shown(100, "i", request="r")], events) == [(0, 1), None]
    named = [event(one.time, action=action, request="r") for one in events]
    assert credited([shown(100, "i", request="r")], named) == [(0, 1), None]


def test_windows_can_be_others():
    windows = Windows(days=2.0, of_action={"view": 0.5})
    events = [event(100 + 2 * DAY), event(100 + DAY, action="view"), event(200, action="view")]

    assert credited([shown(100, "i")], events, windows) == [(0, 1), None, (0, 1)]


def test_an_older_answer_does_not_take_over_when_the_newest_is_out_of_its_window():
    assert credited([shown(100, "i"), shown(200, "i")], [event(201 + 7 * DAY)]) == [None]


def test_a_named_request_gets_the_event_although_a_newer_answer_shows_the_item():
    exposures = [shown(100, "i", request="r"), shown(200, "i", request="s")]

    assert credited(exposures, [event(300, request="r"), event(300)]) == [(0, 1), (1, 1)]


def test_an_event_of_an_unknown_request_is_credited_to_no_other():
    exposures = [shown(100, "i", request="r"), shown(200, "j", request="s")]

    assert credited(exposures, [event(300, request="gone"), event(300, request="s")]) == [None] * 2


def test_the_request_of_another_user_is_no_reason():
    exposures = [shown(100, "i", request="r", user="v"), shown(90, "i", request="r", user="u")]

    assert credited(exposures, [event(200, request="r")]) == [(1, 1)]
    assert credited(exposures[:1], [event(200, request="r")]) == [None]


def test_a_stranger_who_signs_in_is_credited_by_the_request_alone():
    exposures = [shown(100, "i", request="r", user="")]

    assert credited(exposures, [event(200, request="r"), event(200)]) == [(0, 1), None]


def test_of_a_users_and_a_strangers_answer_to_one_request_the_newer_counts():
    exposures = [shown(100, "i", request="r"), shown(200, "i", request="r", user="")]

    assert credited(exposures, [event(300, request="r")]) == [(1, 1)]
    assert credited(exposures, [event(100 - 301, request="r")]) == [None]


def test_clocks_may_differ_where_the_request_is_named():
    exposures = [shown(1_000, "i", request="r")]
    events = [event(700, request="r"), event(699, request="r"), event(999)]

    assert credited(exposures, events) == [(0, 1), None, None]


def test_a_repeated_request_counts_for_its_newest_answer():
    exposures = [shown(100, "i", request="r"), shown(100, "a", "i", request="r")]

    assert credited(exposures, [event(100, request="r"), event(150)]) == [(1, 2), (1, 2)]


def test_an_item_that_is_shown_twice_counts_at_its_first_position():
    assert credited([shown(100, "a", "i", "i")], [event(150)]) == [(0, 2)]


def test_repeated_events_are_credited_each_to_the_same_place():
    events = [event(150, action="click"), event(150, action="click"), event(160, action="click")]

    assert credited([shown(100, "i")], events) == [(0, 1)] * 3


def test_exposures_may_come_in_any_order_of_time():
    assert credited([shown(300, "i"), shown(100, "i")], [event(200), event(400)]) == [
        (1, 1),
        (0, 1),
    ]


def test_without_exposures_or_events_there_is_nothing_to_credit():
    assert credited([], [event(5), event(5, request="r")]) == [None, None]
    outcomes = join([shown(5, "i")], [], WINDOWS)
    assert (len(outcomes.exposure), outcomes.position.dtype) == (0, np.int64)
    assert credited([], []) == []


def plainly(exposures, one, windows):
    """As `join`, for one event, by looking at every exposure."""
    best = None
    for n, exposure in enumerate(exposures):
        skew = windows.skew_seconds if one.request_id else 0
        if one.request_id:
            fits = exposure.request_id == one.request_id and exposure.user_id in ("", one.user_id)
        else:
            fits = exposure.user_id == one.user_id
        if not fits or one.item_id not in exposure.item_ids or exposure.time > one.time + skew:
            continue
        if best is None or (exposure.time, n) > (exposures[best].time, best):
            best = n
    if best is None or one.time - exposures[best].time > windows.seconds(one.action):
        return None
    return best, exposures[best].item_ids.index(one.item_id) + 1


@pytest.mark.parametrize("seed", range(20))
def test_random_logs_are_joined_as_a_plain_search_joins_them(seed):
    chosen = random.Random(seed)
    windows = Windows(days=20 / DAY, of_action={"click": 5 / DAY}, skew_seconds=3)
    exposures = [
        shown(
            chosen.randrange(60),
            *chosen.choices("abcd", k=chosen.randrange(1, 4)),
            request=chosen.choice("rst"),
            user=chosen.choice(["", "u", "v"]),
        )
        for _ in range(chosen.randrange(40))
    ]
    events = [
        event(
            chosen.randrange(80),
            chosen.choice("abcde"),
            chosen.choice(["click", "purchase"]),
            chosen.choice("uvw"),
            chosen.choice(["", "", "r", "s", "q"]),
        )
        for _ in range(60)
    ]

    assert credited(exposures, events, windows) == [
        plainly(exposures, one, windows) for one in events
    ]


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"days": 0.0}, "window days must be positive, got 0"),
        ({"of_action": {"click": float("nan")}}, "window click must be positive, got nan"),
        ({"skew_seconds": -1}, "skew_seconds must be at least 0, got -1"),
    ],
)
def test_windows_that_make_no_sense_are_refused(fields, rule):
    with pytest.raises(ValueError, match=f"^{rule}$"):
        Windows(**fields)

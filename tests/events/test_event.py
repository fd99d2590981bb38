import time

import pytest

from events.event import check_event
from shortlist_client.api.event import Event

GOOD = {"user_id": "u", "item_id": "i", "action": "click"}


def test_a_new_event_gets_an_id_and_a_time():
    first, second = Event(**GOOD), Event(**GOOD)

    assert first.event_id != second.event_id
    assert abs(first.time - time.time()) < 5
    check_event(first, at=time.time())


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"user_id": ""}, "user_id must not be empty, got ''"),
        ({"item_id": " \t"}, "item_id must not be empty"),
        ({"action": ""}, "action must not be empty"),
        ({"event_id": ""}, "event_id must not be empty"),
        ({"user_id": "x" * 257}, "user_id must have at most 256 characters, got 257"),
        ({"user_id": f"key2.9f3a01bc:{'0' * 64}"}, "user_id must not look like a keyed name"),
        ({"request_id": "x" * 257}, "request_id must have at most 256 characters"),
        ({"item_id": "a\0b"}, "item_id must be text without NUL"),
        ({"item_id": "a\ud800"}, "item_id must be text without NUL or lone surrogates"),
        ({"time": -1}, "time must be Unix seconds"),
        ({"time": 86_402}, "at most a day ahead of 1, got 86402"),
        ({"position": 0}, "position must be at least 1, got 0"),
        ({"position": 2**31}, "position must be at least 1"),
    ],
)
def test_an_event_that_breaks_a_rule_is_refused_with_the_field_and_the_rule(fields, rule):
    with pytest.raises(ValueError, match=rule):
        check_event(Event(**{**GOOD, "time": 1, **fields}), at=1.0)


def test_limits_are_inclusive():
    longest = {"user_id": "x" * 256, "item_id": "日" * 256, "position": 2**31 - 1}
    check_event(Event(**{**GOOD, "time": 86_401, **longest}), at=1.0)
    check_event(Event(**{**GOOD, "time": 0, "position": 1}), at=1.0)

import math

import pytest

from events.exposures.rules import check_exposure

KEYED = f"key1.{'0' * 8}:{'a' * 64}"
BROKEN = [
    ({"request_id": ""}, "request_id must not be empty"),
    ({"request_id": "x" * 257}, "request_id must have at most 256 characters"),
    ({"user_id": "a\0b"}, "user_id must be text without NUL"),
    ({"user_id": "\ud800"}, "user_id must be text without NUL or lone surrogates"),
    ({"user_id": KEYED}, "user_id must not look like a keyed name"),
    ({"placement": "x" * 65}, "placement must be at most 64 ASCII letters"),
    ({"placement": "home\n"}, "placement must be at most 64 ASCII letters"),
    ({"time": -1}, "time must be Unix seconds"),
    ({"time": 2**63}, "time must be Unix seconds"),
    ({"item_ids": (), "scores": ()}, "item_ids must be at least one"),
    ({"scores": (1.0,)}, "item_ids must be at least one, with as many scores"),
    ({"propensities": (1.0,)}, "as many propensities or none, got 2, 2 and 1"),
    ({"item_ids": ("i", "x" * 257)}, "item_ids must have at most 256 characters each"),
    ({"item_ids": ("i", "a\0b")}, "item_ids must be text without NUL"),
    ({"item_ids": ("i", "\ud800")}, "item_ids must be text without NUL or lone surrogates"),
    ({"scores": (1.0, math.nan)}, "scores must be numbers"),
    ({"propensities": (1.0, 0.0)}, "propensities must be above 0"),
    ({"propensities": (1.0, math.nan)}, "propensities must be above 0"),
]


@pytest.mark.parametrize(("fields", "rule"), BROKEN)
def test_an_exposure_that_breaks_a_rule_is_refused_by_name(shown, fields, rule):
    with pytest.raises(ValueError, match=rule):
        check_exposure(shown(**fields))


def test_usual_and_unusual_exposures_are_accepted(shown):
    check_exposure(shown("a", user_id="", propensities=(1.0, 1e-9)))
    check_exposure(shown("日" * 256, placement="home/top_1.b-2", scores=(math.inf, -math.inf)))

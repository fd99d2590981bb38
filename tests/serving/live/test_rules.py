from types import SimpleNamespace

import pytest

from serving.live.rules import changed_items
from shortlist_client.api.item import Item


def item(**attributes):
    return Item(item_id="a", title="red shirt", attributes=attributes)


@pytest.mark.parametrize(
    ("known", "sent", "is_changed"),
    [
        ({"n": 1}, {"n": 1}, False),
        ({"n": 1}, {"n": 1.0}, False),
        ({"n": ["x", "y"]}, {"n": ("x", "y")}, False),
        ({"n": 1, "m": 2}, {"m": 2, "n": 1}, False),
        ({"n": 1}, {"n": True}, True),
        ({"n": [0]}, {"n": [False]}, True),
        ({"n": ["x", "y"]}, {"n": ["y", "x"]}, True),
        ({"n": 1}, {}, True),
        ({}, {"n": None}, True),
    ],
)
def test_equality_is_that_of_json(known, sent, is_changed):
    state = SimpleNamespace(known={"a": item(**known)}.get)

    assert changed_items([item(**sent)], state) == ([item(**sent)] if is_changed else [])


def test_an_item_that_is_not_there_is_changed():
    state = SimpleNamespace(known={}.get)

    assert changed_items([item()], state) == [item()]

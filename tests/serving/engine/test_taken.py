"""Refunds and hides of requests and of recorded events."""

import pytest

from serving.api.limits import Limits
from serving.api.request import Method, Request
from serving.engine.engine import Engine, EngineConfig
from shortlist_client.api.answer import Basis
from shortlist_client.api.event import Event
from shortlist_client.api.request import Shopper, Wishes

pytestmark = pytest.mark.numeric


@pytest.fixture(scope="module")
def engine(release):
    return Engine.load(
        release, EngineConfig(ranked=6, limits=Limits(shortlist=12, history=50, candidates=10))
    )


def answered(engine, *events, user="stranger", method=Method.RECOMMEND):
    """The answer to a user after events, each an item and an action."""
    recent = [
        Event(user_id=user, item_id=item, action=action, time=100 + at)
        for at, (item, action) in enumerate(events)
    ]
    request = Request(
        method=method, shopper=Shopper(user_id=user), wishes=Wishes(limit=12), recent=recent
    )
    ((_, answer),) = engine.answers([request])
    return answer


def ids(answer):
    return [item.item_id for item in answer.items]


def test_a_refund_leaves_the_history_at_the_next_request_and_is_not_recommended(engine):
    bought = [("i3", "purchase"), ("i1", "purchase"), ("i5", "buy")]

    after = answered(engine, *bought, ("i5", "Refund "))

    assert after.items
    rest = engine.recommend(
        Shopper(history=["i3", "i1"], history_times=[100, 101], history_actions=["purchase"] * 2),
        Wishes(limit=12, exclude=["i5"]),
    )
    assert ids(after) == ids(rest)
    assert "i5" not in ids(after)


def test_whoever_took_everything_away_is_a_stranger_without_those_items(engine):
    best = ids(engine.recommend(Shopper(), Wishes(limit=12)))

    after = answered(engine, (best[0], "view"), (best[0], "hide"))

    assert after.basis is Basis.POPULARITY
    assert ids(after)[:11] == best[1:]


def test_hiding_an_item_of_the_release_counts_at_the_next_request(engine, shop):
    own = [f"i{row}" for row in shop.items[shop.offsets[4] : shop.offsets[5]]]
    expected = engine.retrieve(Shopper(user_id="u4"), Wishes(limit=12))

    shown = answered(engine, (own[-1], "hide"), user="u4", method=Method.RETRIEVE)

    assert not set(own) & set(ids(shown))
    assert ids(shown) != ids(expected)


def test_a_given_history_may_take_away(engine):
    actions = ["buy", "buy", "dislike"]

    shown = engine.recommend(
        Shopper(history=["i3", "i1", "i1"], history_actions=actions), Wishes(limit=12)
    )

    alone = engine.recommend(
        Shopper(history=["i3"], history_actions=["buy"]), Wishes(limit=12, exclude=["i1"])
    )
    assert ids(shown) == ids(alone)


def test_a_bought_item_after_a_refund_is_history_again(engine):
    again = answered(engine, ("i3", "buy"), ("i3", "refund"), ("i3", "buy"))

    assert again.basis is Basis.HISTORY
    assert "i3" not in ids(again)

"""A request gets the same answer in a batch as alone."""

import time
from dataclasses import replace

import numpy as np
import pytest

from serving.api.errors import UnknownItemError
from serving.api.limits import Limits
from serving.api.request import Method, Request
from serving.engine.engine import Engine, EngineConfig
from shortlist_client.api.answer import Answer, Degraded
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.filters import AnyOf, Filters
from shortlist_client.api.request import Shopper, Wishes
from tests.rounding import BATCHES, SERVED, rounding

pytestmark = pytest.mark.numeric

LIMITS = Limits(shortlist=12, history=50, candidates=12)


@pytest.fixture(scope="module")
def engine(release):
    return Engine.load(release, EngineConfig(ranked=6, limits=LIMITS))


def recommend(*history, search="", **wishes):
    return Request(
        method=Method.RECOMMEND,
        shopper=Shopper(history=history, search=search),
        wishes=Wishes(limit=12, **wishes),
    )


def mixed():
    """Requests of all kinds, with histories of many lengths."""
    rng = np.random.default_rng(0)
    asks = [
        recommend(*(f"i{row}" for row in rng.permutation(240)[:length]))
        for length in (1, 2, 3, 5, 8, 13, 21, 34, 49)
    ]
    red = Filters(must=[AnyOf("colour", ["red"])])
    return [
        *asks,
        *(replace(ask, method=Method.RETRIEVE) for ask in asks),
        *(
            replace(ask, method=Method.RANK, candidates=[f"i{row}" for row in rng.permutation(9)])
            for ask in asks
        ),
        recommend(),
        recommend("nope"),
        recommend("i3", "nope", "i1"),
        Request(method=Method.RECOMMEND, shopper=Shopper(user_id="u4"), wishes=Wishes(limit=12)),
        Request(
            method=Method.RECOMMEND, shopper=Shopper(user_id="stranger"), wishes=Wishes(limit=12)
        ),
        recommend(search="blue lamp"),
        recommend("i3", search="red shirt"),
        recommend("i3", filters=red),
        recommend("i3", "i5", exclude=["i7", "gone"]),
        recommend(search="mug", filters=red),
        Request(method=Method.SIMILAR, wishes=Wishes(limit=5), item_id="i4"),
        Request(method=Method.SIMILAR, wishes=Wishes(limit=5, filters=red), item_id="i4"),
    ]


def together(engine, asks):
    found = dict(engine.answers(asks))
    assert sorted(found) == list(range(len(asks)))
    return [found[place] for place in range(len(asks))]


def assert_alike(one, other):
    """Require equal answers apart from times: scores within rounding, order where scores differ."""
    for field in ("basis", "unknown_item_ids", "unknown_user", "degraded"):
        assert getattr(one, field) == getattr(other, field), field
    assert set(one.milliseconds) == set(other.milliseconds)
    scores = [np.array([item.score for item in answer.items]) for answer in (one, other)]
    clear = rounding(*scores, **BATCHES, dtype=SERVED)
    np.testing.assert_allclose(*scores, atol=clear)
    places = {item.item_id: place for place, item in enumerate(other.items)}
    for item, nearest in zip(one.items, one.items[1:], strict=False):
        if item.score - nearest.score > 2 * clear and {item.item_id, nearest.item_id} <= set(
            places
        ):
            assert places[item.item_id] < places[nearest.item_id]
    clear = {item.item_id for item in one.items if item.score > one.items[-1].score + 2 * clear}
    assert clear <= set(places)


def test_a_request_gets_the_same_answer_in_a_batch_as_alone(engine):
    asks = mixed()

    for one, ask in zip(together(engine, asks), asks, strict=True):
        (alone,) = together(engine, [ask])
        answer = replace(one, milliseconds=dict.fromkeys(alone.milliseconds, 0))
        assert set(alone.milliseconds) <= set(one.milliseconds)
        assert_alike(answer, alone)


def test_an_answer_does_not_depend_on_other_requests_in_the_batch(engine):
    asks = mixed()
    some = asks[:9]

    for one, other in zip(together(engine, some), together(engine, asks), strict=False):
        assert_alike(one, replace(other, milliseconds=one.milliseconds))


def test_invalid_requests_do_not_affect_others_in_the_batch(engine):
    asks = [
        recommend("i3", "i1"),
        replace(recommend("i3"), wishes=Wishes(limit=0)),
        Request(method=Method.SIMILAR, wishes=Wishes(limit=3), item_id="nope"),
        replace(recommend("i3"), method=Method.RANK),
        recommend("i3", filters=Filters(must=[AnyOf("size", ["red"])])),
    ]

    answer, *errors = together(engine, asks)

    assert isinstance(answer, Answer)
    assert [type(error) for error in errors] == [
        InvalidRequestError,
        UnknownItemError,
        InvalidRequestError,
        InvalidRequestError,
    ]


def test_a_request_without_ranking_does_not_wait_for_the_ranker(engine):
    asks = [recommend("i3", "i1"), replace(recommend("i3", "i1"), method=Method.RETRIEVE)]

    told = list(engine.answers(asks))

    assert [place for place, _ in told] == [1, 0]
    assert set(told[0][1].milliseconds) == {"user_tower", "index", "total"}
    assert "ranker" in told[1][1].milliseconds


def test_too_little_time_to_rank_returns_the_shortlists_order(engine):
    soon = time.monotonic() + 1e-4
    hurried = replace(recommend("i3", "i1"), deadline=soon)
    retrieved = replace(recommend("i3", "i1"), method=Method.RETRIEVE, deadline=soon)

    recommended, retrieved, patient = together(
        engine, [hurried, retrieved, recommend("i3", "i1", "i2")]
    )

    assert recommended.degraded is Degraded.DEADLINE
    assert retrieved.degraded is patient.degraded is None
    assert recommended.items == retrieved.items
    assert all(item.ranker_score is None for item in recommended.items)
    assert patient.items[0].ranker_score is not None


def test_candidates_without_time_to_rank_are_ordered_by_shortlist_score(engine):
    candidates = [f"i{row}" for row in range(20, 30)]
    ask = replace(recommend("i3", "i1"), method=Method.RANK, candidates=candidates, wishes=Wishes())

    (hurried,) = together(engine, [replace(ask, deadline=time.monotonic() + 1e-4)])

    assert hurried.degraded is Degraded.DEADLINE
    assert {item.item_id for item in hurried.items} == set(candidates)
    scores = [item.score for item in hurried.items]
    assert scores == sorted(scores, reverse=True)
    assert all(item.ranker_score is None for item in hurried.items)
    assert all(item.shortlist_rank is None for item in hurried.items)


def test_only_requests_with_time_to_rank_are_ranked(engine):
    deadlines = [time.monotonic() + 60, time.monotonic() + 1e-4, time.monotonic() + 61]

    answers = together(engine, [replace(recommend("i3"), deadline=at) for at in deadlines])

    assert [answer.degraded for answer in answers] == [None, Degraded.DEADLINE, None]

"""Reasons equal the score change of a second request without the item of the history."""

import time

import numpy as np
import pytest

from serving.api.limits import Limits
from serving.api.request import Method, Request
from serving.engine.engine import Engine, EngineConfig
from serving.engine.explain_history import REMOVED_ITEMS
from shortlist_client.api.answer import Degraded
from shortlist_client.api.request import Diversity, Shopper, Wishes
from shortlist_client.client import RecommenderClient
from tests.rounding import SERVED, rounding

pytestmark = pytest.mark.numeric

HISTORY = ("i3", "i1", "i45", "i9", "i3")
EVERYTHING = 240
LARGEST = 20
"""Score, of which contributions are differences: a cosine divided by the temperature."""


def in_float32(engine):
    """Engine in float32, whose rounding does not hide small effects."""
    engine.cascade.ranker.model.float()
    reader = engine.cascade.retriever.user_tower.reader
    reader.tower.float()
    reader.item_tower.float()
    return engine


@pytest.fixture(scope="module")
def engine(release):
    """Engine that shortlists and ranks every item: a shorter history changes only the scores."""
    limits = Limits(shortlist=EVERYTHING, candidates=EVERYTHING)
    return in_float32(Engine.load(release, EngineConfig(ranked=EVERYTHING, limits=limits)))


@pytest.fixture(scope="module")
def narrow(release):
    return Engine.load(release, EngineConfig(ranked=6, limits=Limits(shortlist=12)))


def contributions(answer):
    return {
        (item.item_id, reason.item_id): reason.contribution
        for item in answer.items
        for reason in item.reasons
    }


def true_effects(ask, shopper, answer):
    """By how much scores fall in a second request without the item of the history."""
    effects = {}
    for left_out in set(shopper.history):
        history = tuple(item for item in shopper.history if item != left_out)
        without = ask(
            Shopper(history=history, search=shopper.search),
            Wishes(exclude=[left_out], limit=EVERYTHING - 9),
        )
        scores = {item.item_id: item.score for item in without.items}
        for item in answer.items:
            effects[item.item_id, left_out] = item.score - scores[item.item_id]
    return effects


def assert_agree(found, expected):
    assert set(found) == set(expected)
    pairs = sorted(found)
    told, true = np.array([found[p] for p in pairs]), np.array([expected[p] for p in pairs])
    np.testing.assert_allclose(told, true, atol=rounding(LARGEST, terms=1024))
    assert np.abs(true).max() > 0.05  # there is something to agree about


@pytest.mark.parametrize("search", ["", "blue lamp"])
@pytest.mark.parametrize("way", ["recommend", "retrieve"])
def test_a_contribution_is_the_fall_of_the_score_without_the_item(engine, way, search):
    ask = getattr(engine, way)
    shopper, wishes = Shopper(history=HISTORY, search=search), Wishes(limit=10, explain=True)

    answer = ask(shopper, wishes)

    assert_agree(contributions(answer), true_effects(ask, shopper, answer))


def test_contributions_to_candidates_are_true_effects_too(engine):
    candidates = [f"i{row}" for row in range(20, 40)]
    shopper, wishes = Shopper(history=HISTORY), Wishes(explain=True)

    answer = engine.rank(shopper, candidates, wishes)

    def ask(without, _):
        return engine.rank(without, candidates)

    assert_agree(contributions(answer), true_effects(ask, shopper, answer))


def test_contributions_to_unranked_items_use_the_shortlist_score(narrow):
    shopper, wishes = Shopper(history=HISTORY), Wishes(limit=12, explain=True)
    recommended = narrow.recommend(shopper, wishes)
    retrieved = contributions(narrow.retrieve(shopper, wishes))
    tail = [item for item in recommended.items if item.ranker_score is None]

    assert len(tail) == 6
    weight = narrow.cascade.ranker.shortlist_weight
    tolerance = rounding(LARGEST, terms=1024, stored=1, dtype=SERVED)
    for item in tail:
        for reason in item.reasons:
            expected = weight * retrieved[item.item_id, reason.item_id]
            assert reason.contribution == pytest.approx(expected, abs=tolerance)


def test_reasons_change_nothing_else_in_the_answer(engine):
    plain = engine.recommend(Shopper(history=HISTORY), Wishes(limit=10))
    explained = engine.recommend(Shopper(history=HISTORY), Wishes(limit=10, explain=True))

    assert all(item.reasons == () for item in plain.items)
    for one, other in zip(plain.items, explained.items, strict=True):
        assert vars(one) | {"reasons": other.reasons} == vars(other)
    assert set(explained.milliseconds) - set(plain.milliseconds) == {"reasons"}


def test_reasons_name_each_history_item_once_largest_contribution_first(engine):
    for item in engine.recommend(Shopper(history=HISTORY), Wishes(limit=5, explain=True)).items:
        values = [reason.contribution for reason in item.reasons]
        assert values == sorted(values, reverse=True)
        assert sorted(reason.item_id for reason in item.reasons) == sorted(set(HISTORY))


def test_only_the_newest_history_items_are_reasons(narrow):
    history = [f"i{row}" for row in range(60)]

    answer = narrow.recommend(Shopper(history=history), Wishes(limit=3, explain=True))

    for item in answer.items:
        assert {reason.item_id for reason in item.reasons} == set(history[-REMOVED_ITEMS:])


def test_a_users_reasons_cover_the_whole_recorded_history(narrow, shop):
    own = {f"i{row}" for row in shop.items[shop.offsets[4] : shop.offsets[5]]}

    answer = narrow.recommend(Shopper(user_id="u4"), Wishes(limit=3, explain=True))

    assert {reason.item_id for reason in answer.items[0].reasons} == own


@pytest.mark.parametrize(
    "asked",
    [{}, {"history": ["i3", "i3"]}, {"search": "blue lamp"}, {"vector": (1.0,) * 16}],
)
def test_without_a_history_to_compare_there_are_no_reasons(narrow, asked):
    answer = narrow.recommend(Shopper(**asked), Wishes(limit=5, explain=True))

    assert len(answer.items) == 5
    assert all(item.reasons == () for item in answer.items)
    assert answer.degraded is None


def test_a_single_history_item_beside_a_search_is_a_reason(narrow):
    answer = narrow.recommend(
        Shopper(search="blue lamp", history=["i3"]), Wishes(limit=5, explain=True)
    )

    assert [reason.item_id for reason in answer.items[0].reasons] == ["i3"]


def test_diversity_does_not_change_the_reasons(engine):
    diversity = Diversity(strength=0.5, at_most={"thing": 1})
    differing = engine.recommend(
        Shopper(history=HISTORY), Wishes(limit=5, explain=True, diversity=diversity)
    )
    every = contributions(
        engine.recommend(Shopper(history=HISTORY), Wishes(limit=200, explain=True))
    )

    assert_agree(contributions(differing), {pair: every[pair] for pair in contributions(differing)})


def test_explained_answers_come_last(narrow):
    asks = [
        Request(
            method=method, shopper=Shopper(history=HISTORY), wishes=Wishes(limit=3, explain=explain)
        )
        for method in (Method.RETRIEVE, Method.RECOMMEND)
        for explain in (True, False)
    ]

    told = list(filter(None, narrow.answers(asks)))

    assert [place for place, _ in told] == [1, 3, 0, 2]
    assert [bool(answer.items[0].reasons) for _, answer in told] == [False, False, True, True]


def test_without_time_for_reasons_the_answer_is_marked_degraded(narrow):
    shopper, wishes = Shopper(history=HISTORY), Wishes(limit=12, explain=True)
    narrow.recommend(shopper, wishes)
    narrow.latencies.history_reasons.record(48, 60.0)
    for _ in range(20):
        narrow.latencies.history_reasons.record(48, 60.0)

    def ask(seconds):
        deadline = time.monotonic() + seconds
        asks = [Request(method=Method.RECOMMEND, shopper=shopper, wishes=wishes, deadline=deadline)]
        ((_, answer),) = filter(None, narrow.answers(asks))
        return answer

    patient, hasty, late = ask(300), ask(30), ask(1e-4)
    for _ in range(20):
        narrow.latencies.history_reasons.record(48, 0.01)

    assert patient.degraded is None
    assert hasty.degraded is Degraded.REASONS
    assert late.degraded is Degraded.DEADLINE
    assert patient.items[0].reasons
    assert not any(item.reasons for item in (*hasty.items, *late.items))
    assert hasty.items[0].ranker_score is not None


def test_reasons_come_over_grpc(start, narrow):
    server = start(lambda: narrow)
    shopper, wishes = Shopper(history=HISTORY), Wishes(limit=5, explain=True)
    with RecommenderClient(server.address, timeout=10) as client:
        recommended, retrieved = client.recommend(shopper, wishes), client.retrieve(shopper, wishes)
        ranked = client.rank(["i20", "i21"], shopper, wishes)

    for response in (recommended, retrieved, ranked):
        assert all(len(item.reasons) == 4 for item in response.items)

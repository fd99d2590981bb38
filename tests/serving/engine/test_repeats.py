"""Items of a history that answers leave out or offer again, and shops that a history covers."""

from dataclasses import replace

import numpy as np
import pytest

from dataset.actions import relative_weights
from dataset.interaction_codes import DAY
from serving.api.limits import Limits
from serving.api.request import Method, Request
from serving.engine.engine import Engine, EngineConfig
from shortlist_client.api.answer import Basis
from shortlist_client.api.event import Event
from shortlist_client.api.filters import AnyOf, Filters
from shortlist_client.api.request import Shopper, Wishes

pytestmark = pytest.mark.numeric
LIMITS = Limits(shortlist=250, history=300)
RED = Filters(must=[AnyOf("colour", ["red"])])  # i0 to i19
REDS = [f"i{row}" for row in range(20)]
EVERYTHING = [f"i{row}" for row in range(240)]


@pytest.fixture(scope="module")
def engine(release):
    return Engine.load(release, EngineConfig(ranked=6, limits=LIMITS))


def ruled(engine, **rule):
    """The engine of a release whose data stage had other options."""
    catalogue = engine.cascade.catalogue
    data = replace(catalogue.data, **rule)
    return replace(engine, cascade=replace(engine.cascade, catalogue=replace(catalogue, data=data)))


@pytest.fixture(scope="module")
def weighing(engine):
    """The engine, with views that weigh less than purchases."""
    return ruled(engine, action_weights=relative_weights(["", "buy", "view"], {}))


def ids(answer):
    return [item.item_id for item in answer.items]


def test_viewed_items_come_back_and_bought_ones_do_not(weighing):
    shopper = Shopper(history=["i3", "i7", "i3"], history_actions=["view", "buy", "view"])

    answer = weighing.recommend(shopper, Wishes(limit=250))

    assert set(ids(answer)) == set(EVERYTHING) - {"i7"}
    assert answer.coverage.searched == 239
    assert answer.basis is Basis.HISTORY


def test_recorded_views_come_back_also_of_actions_that_the_release_lacks(weighing):
    recent = [
        Event(user_id="new", item_id=item, action=action, time=100)
        for item, action in (("i3", "cart"), ("i7", "purchase"), ("i8", "View"))
    ]
    request = Request(
        method=Method.RETRIEVE,
        shopper=Shopper(user_id="new"),
        wishes=Wishes(limit=250),
        recent=recent,
    )

    ((_, answer),) = weighing.answers([request])

    assert set(ids(answer)) == set(EVERYTHING) - {"i7"}


def test_a_history_without_actions_excludes_its_items(weighing):
    answer = weighing.retrieve(Shopper(history=["i3", "i7"]), Wishes(limit=250))

    assert set(ids(answer)) == set(EVERYTHING) - {"i3", "i7"}


def test_named_actions_exclude(engine):
    by_view = ruled(engine, exclude=("view",))
    shopper = Shopper(history=["i3", "i7"], history_actions=["view", "buy"])

    assert set(EVERYTHING) - set(ids(by_view.retrieve(shopper, Wishes(limit=250)))) == {"i3"}


def test_purchases_come_back_at_once_or_after_days_but_hidden_items_never(engine):
    shopper = Shopper(
        history=["i3", "i7", "i9", "i9"],
        history_actions=["buy", "buy", "buy", "hide"],
        history_times=[0, 10 * DAY, 10 * DAY, 10 * DAY],
    )
    wishes = Wishes(limit=250)

    def left_out(repeats, now):
        answer = ruled(engine, repeats=repeats).recommend(shopper, wishes, now=now)
        return sorted(set(EVERYTHING) - set(ids(answer)))

    assert left_out(None, 90 * DAY) == ["i3", "i7", "i9"]
    assert left_out(0.0, 10 * DAY) == ["i9"]
    assert left_out(30.0, 29 * DAY) == ["i3", "i7", "i9"]
    assert left_out(30.0, 30 * DAY) == ["i7", "i9"]
    assert left_out(30.0, 40 * DAY) == ["i9"]


def test_items_that_come_back_have_the_scores_of_an_item_to_rank(engine):
    shopper = Shopper(history=["i3", "i7"])
    back = ruled(engine, repeats=0.0)

    answer = back.retrieve(shopper, Wishes(limit=250))
    found = {item.item_id: item for item in answer.items}
    ranked = back.rank(shopper, ["i3", "i7"])

    for item in ranked.items:
        assert found[item.item_id].tower_score == pytest.approx(item.tower_score, abs=1e-5)


@pytest.mark.parametrize("ask", ["recommend", "retrieve"])
def test_a_history_of_the_whole_shop_gets_the_best_sellers(engine, ask):
    answer = getattr(engine, ask)(Shopper(history=EVERYTHING), Wishes(limit=5))

    assert answer.basis is Basis.POPULARITY
    assert ids(answer) == ids(engine.recommend(Shopper(), Wishes(limit=5)))
    assert answer.coverage.searched == 240


def test_a_history_of_everything_that_a_filter_allows_gets_its_best_sellers(engine):
    wishes = Wishes(limit=5, filters=RED, exclude=["i4"])

    answer = engine.recommend(Shopper(history=REDS), wishes)

    assert answer.basis is Basis.POPULARITY
    assert ids(answer) == ids(engine.recommend(Shopper(), wishes))
    assert set(ids(answer)) <= set(REDS) - {"i4"}


def test_one_item_that_is_left_is_no_reason_for_others(engine):
    answer = engine.recommend(Shopper(history=REDS[1:]), Wishes(limit=5, filters=RED))

    assert ids(answer) == ["i0"]
    assert answer.basis is Basis.HISTORY


def test_a_search_of_somebody_who_has_everything_is_answered_by_the_search(engine):
    wishes = Wishes(limit=20, filters=RED)

    answer = engine.recommend(Shopper(history=REDS, search="red lamp"), wishes)

    assert answer.basis is Basis.SEARCH
    assert set(ids(answer)) == set(REDS)


def test_what_the_request_or_the_shopper_refuses_stays_out_of_an_empty_answer(engine):
    everything = Shopper(history=EVERYTHING)
    hidden = Shopper(history=REDS, history_actions=["hide"] * 20)

    assert ids(engine.recommend(everything, Wishes(exclude=EVERYTHING))) == []
    assert ids(engine.recommend(hidden, Wishes(filters=RED))) == []


def test_a_known_user_of_a_small_shop_gets_an_answer(engine, shop):
    own = [f"i{row}" for row in shop.items[shop.offsets[4] : shop.offsets[5]]]
    others = sorted(set(EVERYTHING) - set(own))

    answer = engine.recommend(Shopper(user_id="u4"), Wishes(limit=10, exclude=others))

    assert answer.basis is Basis.POPULARITY
    assert sorted(ids(answer)) == sorted(set(own))


def test_a_batch_answers_as_its_requests_alone(engine):
    asked = [
        Request(method=Method.RECOMMEND, shopper=Shopper(history=history), wishes=Wishes(limit=5))
        for history in (EVERYTHING, ["i3"], EVERYTHING[:239])
    ]

    together = {place: ids(answer) for place, answer in filter(None, engine.answers(asked))}

    for place, request in enumerate(asked):
        ((_, alone),) = filter(None, engine.answers([request]))
        assert together[place] == ids(alone)
    assert together[2] == ["i239"]
    assert np.isin("i3", together[1]).sum() == 0

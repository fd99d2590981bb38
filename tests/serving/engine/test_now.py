"""As of when the engine answers."""

from dataclasses import replace

import numpy as np
import pytest

from dataset.interaction_codes import DAY, HOUR
from serving.engine.engine import Engine, EngineConfig
from shortlist_client.api.answer import Source
from shortlist_client.api.request import Shopper, Wishes


@pytest.fixture(scope="module")
def engine(release):
    return Engine.load(release, EngineConfig())


def at(engine, seconds):
    """The engine as if it were another time."""
    return replace(engine, cascade=replace(engine.cascade, wall=lambda: seconds))


def test_an_archived_release_answers_as_of_the_hour_in_which_its_events_end(engine, shop):
    newest = int(shop.times.max()) // 1_000_000

    assert newest < engine.cascade.now <= newest + HOUR
    assert engine.cascade.now % HOUR == 0


def test_a_release_with_fresh_events_answers_as_of_the_asking_time(engine, shop):
    newest = int(shop.times.max()) // 1_000_000

    asked = at(engine, newest + 5 * HOUR).cascade.now

    assert newest + 4 * HOUR < asked <= newest + 5 * HOUR


def test_later_events_move_counts_best_sellers_and_now_without_touching_the_old_cascade(engine):
    asked = engine.cascade.now + 300 * DAY
    old = at(engine, asked).cascade
    bought = np.full(50, 7), np.full(50, asked - 2 * HOUR)

    new = old.with_demand(old.features.demand.with_events(*bought))

    assert old.now < asked - DAY < new.now <= asked
    assert old.version_token != new.version_token
    answer = replace(engine, cascade=new).recommend(Shopper(), Wishes(limit=1))
    assert (answer.items[0].item_id, answer.items[0].score) == ("i7", 50)
    assert engine.cascade.now == old.now


def test_what_sells_now_is_recommended_and_says_so(engine):
    sources = replace(engine.cascade.retriever.sources, sales_weight=20.0)
    retriever = replace(engine.cascade.retriever, sources=sources)
    cascade = replace(engine.cascade, retriever=retriever)
    bought = np.full(50, 7), np.full(50, cascade.now - 2 * HOUR)
    cascade = cascade.with_demand(cascade.features.demand.with_events(*bought))
    selling = replace(engine, cascade=cascade)

    answer = selling.recommend(Shopper(history=["i3", "i11"]), Wishes(limit=200), now=cascade.now)
    ranked = selling.rank(Shopper(history=["i3", "i11"]), ["i7"], Wishes(explain=True))

    found = next(item for item in answer.items if item.item_id == "i7")
    assert (found.shortlist_rank, Source.BEST_SELLERS in found.sources) == (1, True)
    assert ranked.items[0].item_id == "i7"
    before = engine.recommend(Shopper(history=["i3", "i11"]), Wishes(limit=200))
    assert not any(Source.BEST_SELLERS in item.sources for item in before.items)


def test_the_ranker_sees_the_purchases_before_the_given_now(engine, shop):
    shopper, wishes = Shopper(history=["i3", "i11"]), Wishes(limit=6)
    seen = []

    def features(history, candidates, *, now, times, **codes):
        seen.append((now, times))
        return engine.cascade.features(history, candidates, now=now, times=times, **codes)

    watched = replace(engine, cascade=replace(engine.cascade, features=features))
    watched.recommend(shopper, wishes, now=12 * HOUR)

    assert seen == [(12 * HOUR, None)]


def test_answers_of_another_hour_are_other_answers(engine, shop):
    newest = int(shop.times.max()) // 1_000_000

    tokens = [at(engine, newest + hours * HOUR).version_token for hours in (1, 1, 2)]

    assert tokens[0] == tokens[1] != tokens[2]

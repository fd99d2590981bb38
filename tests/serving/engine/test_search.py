from dataclasses import replace

import numpy as np
import pytest

from dataset.arrays import StringColumn
from dataset.searches import Searches
from lineage.manifest import read_manifest
from serving.engine.engine import Engine, EngineConfig
from serving.live.live_engine import LiveEngine
from shortlist_client.api.answer import Source
from shortlist_client.api.filters import AnyOf, Filters
from shortlist_client.api.item import Item
from shortlist_client.api.request import Shopper, Wishes


@pytest.fixture(scope="module")
def searched_release(own_copy, build_release, shop):
    """A release of a shop in which every interaction follows a search for its item's title."""
    titles = list(shop.titles)
    searches = Searches(
        texts=StringColumn.of(titles),
        of=np.asarray(shop.items, np.int32),
        relevance=np.where(np.asarray(shop.items) % 2, 1, 2).astype(np.float32),
    )
    logged = replace(shop, searches=searches)
    return own_copy(
        "searched",
        lambda root: build_release(
            root, logged, epochs=2, last_fit=False, item_layers=1, residual=False
        ),
    )


@pytest.fixture(scope="module")
def engine(searched_release):
    return Engine.load(searched_release, EngineConfig())


def first(answer):
    return answer.items[0].title


def test_the_words_of_a_search_come_first_with_and_without_a_history(engine):
    for shopper in (Shopper(search="red mug"), Shopper(search="red mug", history=["i3", "i4"])):
        assert first(engine.recommend(shopper, Wishes(limit=5))) == "red mug"


def by_words(engine):
    """The engine where the words of a search decide."""
    cascade = engine.cascade
    sources = replace(cascade.retriever.sources, words_weight=100.0)
    retriever = replace(cascade.retriever, sources=sources)
    return replace(engine, cascade=replace(cascade, retriever=retriever))


def test_a_typo_is_forgiven_where_words_decide(engine):
    answer = by_words(engine).retrieve(Shopper(search="gren candel"), Wishes(limit=3))

    assert "green candle" in [item.title for item in answer.items]


def test_what_words_recalled_says_so(engine):
    answer = by_words(engine).retrieve(Shopper(search="red mug"), Wishes(limit=3))

    assert all(Source.WORDS in item.sources for item in answer.items)
    plain = engine.retrieve(Shopper(history=["i3"]), Wishes(limit=3))
    assert not any(Source.WORDS in item.sources for item in plain.items)


def test_what_a_shopper_bought_orders_what_the_words_find_and_recalls_nothing(engine):
    sources = by_words(engine).cascade.retriever.sources
    user = engine.cascade.retriever.embed(np.array([3, 4], np.int32), {}, search="red")
    history = np.array([3, 4], np.int32)

    found = sources.shortlist(user, history, 20, uses_neighbours=False, search="red")
    alone = sources.score_items(user, history[:0], found.rows, search="red")

    assert not found.by_neighbours.any()
    bought, others = found.neighbour_scores > 0, found.neighbour_scores == 0
    assert bought.any()
    assert others.any()
    gained = found.scores - alone.scores
    assert gained[bought].min() > gained[others].max()


def test_filters_hold_for_what_words_find(engine):
    only = Filters(must=[AnyOf("colour", ["blue"])])

    answer = engine.recommend(Shopper(search="red mug"), Wishes(limit=5, filters=only))

    assert len(answer.items) == 5
    assert {item.title.split()[0] for item in answer.items} == {"blue"}


def test_what_the_history_excludes_is_not_found_by_words(engine, shop):
    row = list(shop.titles).index("red mug")

    answer = engine.recommend(Shopper(search="red mug", history=[f"i{row}"]), Wishes(limit=5))

    assert "red mug" not in [item.title for item in answer.items]


def test_the_ranker_reads_searches_where_they_are_logged(engine):
    answer = engine.recommend(Shopper(search="red mug"), Wishes(limit=5))

    assert engine.cascade.ranker.reads_searches
    assert all(item.ranker_score is not None for item in answer.items)


def test_without_a_log_searches_are_answered_by_towers_and_words(release):
    engine = Engine.load(release, EngineConfig())

    answer = engine.recommend(Shopper(search="red mug"), Wishes(limit=5))

    assert not engine.cascade.ranker.reads_searches
    assert all(item.ranker_score is None for item in answer.items)
    assert first(answer) == "red mug"


def test_the_weight_of_words_is_chosen_by_the_trial_and_kept(searched_release):
    trial = read_manifest(searched_release / "trial" / "index", "trial/index").facts
    index = read_manifest(searched_release / "index", "index").facts

    assert trial["words weight"] == index["words weight"]
    by_weight = trial["NDCG@10 of searches by weight of words"]
    assert by_weight[str(trial["words weight"])] >= by_weight["0.0"]


def test_added_and_changed_items_are_found_by_their_words(searched_release):
    base = by_words(Engine.load(searched_release, EngineConfig()))
    engine = LiveEngine(base, searched_release)

    engine.upsert(
        [
            Item(item_id="new", title="Velvet armchair"),
            Item(item_id="i0", title="Wooden stool"),
        ]
    )
    found = engine.current.recommend(Shopper(search="velvet armchair"), Wishes(limit=1))
    changed = engine.current.retrieve(Shopper(search="wooden stool"), Wishes(limit=1))
    engine.delete(["new"])
    gone = engine.current.retrieve(Shopper(search="velvet armchair"), Wishes(limit=200))

    assert first(found) == "Velvet armchair"
    assert changed.items[0].item_id == "i0"
    assert "new" not in [item.item_id for item in gone.items]


def test_explanations_of_a_ranked_search_add_up_from_the_history(engine):
    shopper = Shopper(search="red mug", history=["i3", "i44"])

    answer = engine.recommend(shopper, Wishes(limit=2, explain=True))

    assert {reason.item_id for item in answer.items for reason in item.reasons} == {"i3", "i44"}

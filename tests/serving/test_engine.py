from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from benchmarks.cascade import history_query
from dataset.arrays import TEST
from dataset.context import GAPS
from evaluation.search import exact_search
from serving.catalogue import Catalogue
from serving.engine import Engine, EngineConfig
from serving.query import Basis, InvalidQueryError, Limits, Query, Source, UnknownItemError
from tests.rounding import rounding

pytestmark = pytest.mark.numeric

LIMITS = Limits(shortlist=12, history=50, candidates=10)


@pytest.fixture(scope="module")
def engine(release):
    return Engine.load(release, EngineConfig(ranked=6, limits=LIMITS))


def ids(answer):
    return [item.item_id for item in answer.items]


def test_an_answer_depends_on_the_query_alone(engine):
    first = engine.recommend(Query(history=["i3", "i1"], limit=12))
    engine.recommend(Query(history=["i7", "i8", "i9", "i12"], limit=12))

    assert engine.recommend(Query(history=["i3", "i1"], limit=12)).items == first.items


def test_numpy_leaves_the_cores_to_torch(release):
    numpys = ThreadpoolController().select(prefix="libscipy_openblas")
    numpys.limit(limits=2)
    assert {library["num_threads"] for library in numpys.info()} == {2}

    Engine.load(release, EngineConfig(ranked=6, limits=LIMITS))

    assert {library["num_threads"] for library in numpys.info()} == {1}


@pytest.mark.parametrize("most", [50, 20])
def test_no_length_of_a_history_is_a_shape_that_warming_up_has_not_seen(release, most):
    limits = replace(LIMITS, history=most)
    engine = Engine.load(release, EngineConfig(ranked=6, limits=limits))
    widths: dict[str, set[int]] = {"towers": set(), "ranker": set()}
    towers, ranker = engine.retriever.user_tower.reader.tower, engine.ranker.model
    hooks = [
        towers.register_forward_pre_hook(
            lambda _, read: widths["towers"].add(read[1].ids.shape[1])
        ),
        ranker.register_forward_pre_hook(
            lambda _, read: widths["ranker"].add(read[0].history.shape[1])
        ),
    ]
    engine.warm_up()
    seen = {name: frozenset(some) for name, some in widths.items()}

    for length in range(1, min(30, most + 1)):
        engine.recommend(Query(history=[f"i{number}" for number in range(length)], limit=1))
    for hook in hooks:
        hook.remove()

    assert widths == seen


def test_the_history_is_never_recommended(engine):
    history = ["i3", "i1", "i3"]

    for answer in (
        engine.recommend(Query(history=history, limit=12)),
        engine.retrieve(Query(history=history, limit=12)),
    ):
        assert len(set(ids(answer))) == 12
        assert not set(ids(answer)) & set(history)


def test_the_towers_recall_is_exact_search_over_their_embeddings(engine, release):
    corpus = np.load(release / "towers" / "item_embeddings.npy")
    history = np.array([3, 1], np.int32)
    user = engine.retriever.embed(history, {})

    scores, rows = exact_search(user[None], corpus, 12, exclude=[history])
    found, cosines = engine.retriever.sources.nearest(user, history, 12)

    np.testing.assert_allclose(cosines, scores[0], atol=rounding(1, terms=16))
    assert set(found) == set(rows[0])


def test_an_answer_says_what_each_source_thinks(engine):
    answer = engine.retrieve(Query(history=["i3", "i1"], limit=12))
    recalled = engine.retriever.shortlist(np.array([3, 1], np.int32), 12, {})

    for item, cosine, shared in zip(
        answer.items, recalled.cosines, recalled.neighbour_scores, strict=True
    ):
        assert item.tower_score == cosine
        assert item.neighbour_score == shared
        assert item.sources
        assert shared > 0 or item.sources == (Source.TOWERS,)


def test_ranking_reorders_the_head_of_the_shortlist_and_nothing_else(engine):
    query = Query(history=["i3", "i1"], limit=12)
    retrieved, ranked = engine.retrieve(query), engine.recommend(query)

    assert set(ids(ranked)[:6]) == set(ids(retrieved)[:6])
    assert ids(ranked)[6:] == ids(retrieved)[6:]
    assert all(item.ranker_score is not None for item in ranked.items[:6])
    assert all(item.ranker_score is None for item in ranked.items[6:])
    places = {item.item_id: item.shortlist_rank for item in retrieved.items}
    assert sorted(places.values()) == list(range(1, 13))
    assert {item.item_id: item.shortlist_rank for item in ranked.items} == places


def test_scores_fall_along_every_answer(engine):
    query = Query(history=["i3", "i1"], limit=10)
    for answer in (
        engine.recommend(query),
        engine.retrieve(query),
        engine.similar("i4", 10),
        engine.recommend(Query(limit=10)),
    ):
        scores = [item.score for item in answer.items]
        assert scores == sorted(scores, reverse=True)


def test_ranking_the_head_by_hand_gives_the_cascades_scores(engine):
    query = Query(history=["i3", "i1"], limit=6)
    head = ids(engine.retrieve(query))

    by_hand, cascade = engine.rank(query, head), engine.recommend(query)

    assert ids(by_hand) == ids(cascade)
    expected = [i.score for i in cascade.items]
    np.testing.assert_allclose(
        [i.score for i in by_hand.items], expected, atol=rounding(expected, terms=1024)
    )
    assert all(item.shortlist_rank is None for item in by_hand.items)


def test_a_known_user_is_served_by_all_that_the_release_knows(engine, shop):
    own = slice(shop.offsets[4], shop.offsets[5])
    same = Query(
        history=[f"i{row}" for row in shop.items[own]],
        history_times=shop.times[own].tolist(),
        history_actions=[["", *shop.action_names][action] for action in shop.actions[own]],
        limit=10,
    )

    known = engine.recommend(Query(user_id="u4", limit=10))

    assert known.basis is Basis.HISTORY
    assert known.items == engine.recommend(same).items


def test_a_history_in_the_query_wins_over_the_users_own(engine):
    own, given = (
        engine.recommend(Query(user_id="u4", limit=5)),
        engine.recommend(Query(user_id="u4", history=["i19"], limit=5)),
    )

    assert given.items == engine.recommend(Query(history=["i19"], limit=5)).items
    assert given.items != own.items


@pytest.mark.parametrize(
    ("query", "unknown_user", "unknown_items"),
    [
        (Query(user_id="stranger", limit=5), True, ()),
        (Query(limit=5), False, ()),
        (Query(history=["x", "y", "x"], limit=5), False, ("x", "y")),
    ],
)
def test_nothing_known_of_the_shopper_falls_back_to_the_best_selling(
    engine, shop, query, unknown_user, unknown_items
):
    answer = engine.recommend(query)

    assert answer.basis is Basis.POPULARITY
    assert answer.unknown_user is unknown_user
    assert answer.unknown_item_ids == unknown_items
    best = sorted(shop.for_refit().popularity.tolist(), reverse=True)[:5]
    assert [item.score for item in answer.items] == best


def test_unknown_items_of_a_history_are_skipped_and_reported(engine):
    answer = engine.recommend(Query(history=["i3", "nope", "i1"], limit=5))

    assert answer.unknown_item_ids == ("nope",)
    assert answer.items == engine.recommend(Query(history=["i3", "i1"], limit=5)).items


def test_similar_items_leave_the_item_itself_out(engine):
    answer = engine.similar("i4", 12)

    assert len(answer.items) == 12
    assert "i4" not in ids(answer)
    assert answer.basis is Basis.ITEM


@pytest.mark.parametrize(
    ("query", "rule"),
    [
        (Query(history=["i1"], limit=0), "limit must be within 1 and the shortlist of 12, got 0"),
        (Query(history=["i1"], limit=13), "got 13"),
        (Query(history=["i1"] * 51, limit=5), "history must be at most 50 item ids, got 51"),
        (Query(history=["i" * 257], limit=5), "item_id must have 1 to 256 characters, got 257"),
        (Query(history=[""], limit=5), "item_id must have 1 to 256"),
        (Query(user_id="", limit=5), "user_id must have 1 to 256"),
    ],
)
def test_a_query_that_breaks_a_rule_is_refused_by_name(engine, query, rule):
    for ask in (engine.recommend, engine.retrieve):
        with pytest.raises(InvalidQueryError, match=rule):
            ask(query)


def test_ranking_needs_some_and_not_too_many_candidates(engine):
    for candidates in ([], ["i1"] * 11):
        with pytest.raises(InvalidQueryError, match=f"1 to 10 item ids, got {len(candidates)}"):
            engine.rank(Query(history=["i3"], limit=1), candidates)


def test_unknown_candidates_are_skipped_and_reported(engine):
    answer = engine.rank(Query(history=["i3"], limit=5), ["i1", "nope", "i2", "i1"])

    assert sorted(ids(answer)) == ["i1", "i2"]
    assert answer.unknown_item_ids == ("nope",)


def test_an_unknown_item_has_no_neighbours(engine):
    with pytest.raises(UnknownItemError, match="'nope'"):
        engine.similar("nope", 3)


def test_every_stage_is_timed(engine):
    answer = engine.recommend(Query(history=["i3"], limit=3))

    assert set(answer.milliseconds) == {"user_tower", "index", "ranker", "total"}
    assert answer.milliseconds["total"] >= answer.milliseconds["ranker"] > 0


@pytest.mark.parametrize("history", [[], ["i3", "i1"]])
def test_a_search_is_answered_by_the_towers_alone(engine, history):
    query = Query(search="blue lamp", history=history, limit=12)
    answer = engine.recommend(query)

    rows = np.array([int(i[1:]) for i in history], np.int32)
    user = engine.retriever.embed(rows, {}, search="blue lamp")
    expected, _ = engine.retriever.sources.nearest(user, rows, 12)
    assert answer.basis is Basis.SEARCH
    assert ids(answer) == [f"i{row}" for row in expected]
    assert ids(answer) == ids(engine.retrieve(query))
    assert all(item.sources == (Source.TOWERS,) for item in answer.items)
    assert all(item.ranker_score is None for item in answer.items)


@pytest.mark.parametrize("search", ["blue lamp", "red shirt", "navy basket"])
def test_a_search_for_a_title_finds_it(engine, search):
    answer = engine.recommend(Query(search=search, limit=12))

    assert search in [item.title for item in answer.items]


def test_an_endless_search_is_refused(engine):
    with pytest.raises(InvalidQueryError, match="search must be at most 1000 characters, got 1001"):
        engine.recommend(Query(search="x" * 1001, limit=5))


def test_times_and_actions_of_a_history_are_read_as_they_were_in_training(engine, release, shop):
    catalogue, cases = Catalogue(shop), shop.cases("test")
    for case, user in enumerate(cases.user_rows[:50].tolist()):
        asked = history_query(shop, user, limit=5)
        np.testing.assert_array_equal(catalogue.contexts(asked), cases.contexts[case])
    asked = history_query(shop, 3, limit=12)
    item = engine.retrieve(asked).items[0]
    user = engine.retriever.embed(
        shop.history(3, before=TEST), {}, contexts=shop.history_contexts(3, before=TEST)
    )
    row = np.array([catalogue.row(item.item_id)], np.int32)
    vector = np.load(release / "towers" / "item_embeddings.npy")[row[0]]

    assert item.tower_score == pytest.approx(float(vector @ user), abs=rounding(1, terms=512))


def test_an_unknown_item_takes_its_time_and_action_with_it(shop):
    known = Query(history=["i3", "i1"], history_times=[5, 90_005], history_actions=["buy", "view"])
    mixed = Query(
        history=["i3", "gone", "i1"],
        history_times=[5, 90_004, 90_005],
        history_actions=["buy", "view", "view"],
    )
    found, other = Catalogue(shop).contexts(known), Catalogue(shop).contexts(mixed)

    assert found.tolist() == other.tolist() == [GAPS, 2 * GAPS + 5]


def test_a_release_without_times_does_not_heed_them(shop):
    untimed = Catalogue(replace(shop, timed=False))
    query = Query(history=["i3", "i1"], history_times=[5, 90_005], history_actions=["buy", ""])

    assert untimed.contexts(query).tolist() == [GAPS, 0]


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"history_times": [1]}, "history_times must be as many as the 2 items"),
        ({"history_times": [2, 1]}, "history_times must not decrease, got 1 after 2"),
        ({"history_actions": ["buy"] * 3}, "history_actions must be as many as the 2 items"),
        ({"history_actions": ["buy", "x" * 300]}, "history_actions must have at most 256"),
    ],
)
def test_times_and_actions_that_do_not_fit_are_refused(engine, given, rule):
    with pytest.raises(InvalidQueryError, match=rule):
        engine.recommend(Query(history=["i3", "i1"], limit=5, **given))

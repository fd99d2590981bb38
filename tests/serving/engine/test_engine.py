from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from benchmarks.quality.cascade_lists import case_shoppers, history_shopper
from dataset.arrays import TEST
from dataset.interaction_codes import DAY, GAPS, whole_seconds
from evaluation.search import exact_search
from index.sales import WINDOW
from serving.api.errors import UnknownItemError
from serving.api.limits import Limits
from serving.catalogue.catalogue import Catalogue
from serving.engine.engine import Engine, EngineConfig
from shortlist_client.api.answer import Basis, Source
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.request import Shopper, Wishes
from tests.rounding import rounding

pytestmark = pytest.mark.numeric

LIMITS = Limits(shortlist=12, history=50, candidates=10)


@pytest.fixture(scope="module")
def engine(release):
    return Engine.load(release, EngineConfig(ranked=6, limits=LIMITS))


def ids(answer):
    return [item.item_id for item in answer.items]


def test_an_answer_depends_only_on_the_request(engine):
    first = engine.recommend(Shopper(history=["i3", "i1"]), Wishes(limit=12))
    engine.recommend(Shopper(history=["i7", "i8", "i9", "i12"]), Wishes(limit=12))

    assert engine.recommend(Shopper(history=["i3", "i1"]), Wishes(limit=12)).items == first.items


def test_numpy_leaves_the_cores_to_torch(release):
    numpys = ThreadpoolController().select(prefix="libscipy_openblas")
    numpys.limit(limits=2)
    assert {library["num_threads"] for library in numpys.info()} == {2}

    Engine.load(release, EngineConfig(ranked=6, limits=LIMITS))

    assert {library["num_threads"] for library in numpys.info()} == {1}


def test_an_engine_is_warmed_up_when_it_is_loaded(release, monkeypatch):
    warmed = []
    monkeypatch.setattr(Engine, "warm_up", lambda engine: warmed.append(id(engine)))

    engine = Engine.load(release, EngineConfig(ranked=6, limits=LIMITS))

    assert warmed == [id(engine)]


@pytest.mark.usefixtures("warm_engines")
@pytest.mark.parametrize("most", [50, 20])
def test_warming_up_runs_the_shapes_of_all_history_lengths(release, most):
    limits = replace(LIMITS, history=most)
    engine = Engine.load(release, EngineConfig(ranked=6, limits=limits))
    widths: dict[str, set[int]] = {"towers": set(), "ranker": set()}
    towers, ranker = engine.cascade.retriever.user_tower.reader.tower, engine.cascade.ranker.model
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
        engine.recommend(
            Shopper(history=[f"i{number}" for number in range(length)]), Wishes(limit=1)
        )
    for hook in hooks:
        hook.remove()

    assert widths == seen


def test_the_history_is_never_recommended(engine):
    history = ["i3", "i1", "i3"]

    for answer in (
        engine.recommend(Shopper(history=history), Wishes(limit=12)),
        engine.retrieve(Shopper(history=history), Wishes(limit=12)),
    ):
        assert len(set(ids(answer))) == 12
        assert not set(ids(answer)) & set(history)


def test_the_towers_recall_is_exact_search_over_their_embeddings(engine, release):
    corpus = np.load(release / "towers" / "item_embeddings.npy")
    history = np.array([3, 1], np.int32)
    user = engine.cascade.retriever.embed(history, {})

    scores, rows = exact_search(user[None], corpus, 12, exclude=[history])
    found, cosines = engine.cascade.retriever.sources.nearest(user, history, 12)

    np.testing.assert_allclose(cosines, scores[0], atol=rounding(1, terms=16))
    assert set(found) == set(rows[0])


def test_an_answer_has_the_scores_of_each_source(engine):
    answer = engine.retrieve(Shopper(history=["i3", "i1"]), Wishes(limit=12))
    recalled = engine.cascade.retriever.shortlist(np.array([3, 1], np.int32), 12, {})

    for item, cosine, shared in zip(
        answer.items, recalled.cosines, recalled.neighbour_scores, strict=True
    ):
        assert item.tower_score == cosine
        assert item.neighbour_score == shared
        assert item.sources
        assert shared > 0 or item.sources == (Source.TOWERS,)


def test_ranking_reorders_the_head_of_the_shortlist_and_nothing_else(engine):
    shopper, wishes = Shopper(history=["i3", "i1"]), Wishes(limit=12)
    retrieved, ranked = engine.retrieve(shopper, wishes), engine.recommend(shopper, wishes)

    assert set(ids(ranked)[:6]) == set(ids(retrieved)[:6])
    assert ids(ranked)[6:] == ids(retrieved)[6:]
    assert all(item.ranker_score is not None for item in ranked.items[:6])
    assert all(item.ranker_score is None for item in ranked.items[6:])
    places = {item.item_id: item.shortlist_rank for item in retrieved.items}
    assert sorted(places.values()) == list(range(1, 13))
    assert {item.item_id: item.shortlist_rank for item in ranked.items} == places


def test_every_answer_is_sorted_by_score(engine):
    shopper, wishes = Shopper(history=["i3", "i1"]), Wishes(limit=10)
    for answer in (
        engine.recommend(shopper, wishes),
        engine.retrieve(shopper, wishes),
        engine.similar("i4", Wishes(limit=10)),
        engine.recommend(Shopper(), Wishes(limit=10)),
    ):
        scores = [item.score for item in answer.items]
        assert scores == sorted(scores, reverse=True)


def test_ranking_the_head_by_rank_gives_the_cascades_scores(engine):
    shopper, wishes = Shopper(history=["i3", "i1"]), Wishes(limit=6)
    head = ids(engine.retrieve(shopper, wishes))

    by_hand, cascade = engine.rank(shopper, head), engine.recommend(shopper, wishes)

    assert ids(by_hand) == ids(cascade)
    expected = [i.score for i in cascade.items]
    np.testing.assert_allclose(
        [i.score for i in by_hand.items], expected, atol=rounding(expected, terms=1024)
    )
    assert all(item.shortlist_rank is None for item in by_hand.items)


def test_a_known_user_is_served_by_the_whole_recorded_history(engine, shop):
    own = slice(shop.offsets[4], shop.offsets[5])
    same = Shopper(
        history=[f"i{row}" for row in shop.items[own]],
        history_times=whole_seconds(shop.times[own]).tolist(),
        history_actions=[["", *shop.action_names][action] for action in shop.actions[own]],
    )

    known = engine.recommend(Shopper(user_id="u4"), Wishes(limit=10))

    assert known.basis is Basis.HISTORY
    assert known.items == engine.recommend(same, Wishes(limit=10)).items


def test_a_history_in_the_request_replaces_the_recorded_one(engine):
    own, given = (
        engine.recommend(Shopper(user_id="u4"), Wishes(limit=5)),
        engine.recommend(Shopper(user_id="u4", history=["i19"]), Wishes(limit=5)),
    )

    assert given.items == engine.recommend(Shopper(history=["i19"]), Wishes(limit=5)).items
    assert given.items != own.items


@pytest.mark.parametrize(
    ("shopper", "unknown_user", "unknown_items"),
    [
        (Shopper(user_id="stranger"), True, ()),
        (Shopper(), False, ()),
        (Shopper(history=["x", "y", "x"]), False, ("x", "y")),
    ],
)
def test_an_unknown_shopper_gets_the_best_sellers(
    engine, shop, shopper, unknown_user, unknown_items
):
    answer = engine.recommend(shopper, Wishes(limit=5))

    assert answer.basis is Basis.POPULARITY
    assert answer.unknown_user is unknown_user
    assert answer.unknown_item_ids == unknown_items
    now, counted = engine.cascade.now, shop.counted(shop.splits <= TEST)
    newest = counted & (shop.times // 1_000_000 >= now - WINDOW * DAY)
    best = sorted(np.bincount(shop.items[newest], minlength=240).tolist(), reverse=True)[:5]
    assert [item.score for item in answer.items] == best


def test_unknown_items_of_a_history_are_skipped_and_reported(engine):
    answer = engine.recommend(Shopper(history=["i3", "nope", "i1"]), Wishes(limit=5))

    assert answer.unknown_item_ids == ("nope",)
    assert answer.items == engine.recommend(Shopper(history=["i3", "i1"]), Wishes(limit=5)).items


def test_similar_items_exclude_the_item_itself(engine):
    answer = engine.similar("i4", Wishes(limit=12))

    assert len(answer.items) == 12
    assert "i4" not in ids(answer)
    assert answer.basis is Basis.ITEM


@pytest.mark.parametrize(
    ("shopper", "wishes", "rule"),
    [
        (
            Shopper(history=["i1"]),
            Wishes(limit=0),
            "limit must be within 1 and the shortlist of 12, got 0",
        ),
        (Shopper(history=["i1"]), Wishes(limit=13), "got 13"),
        (
            Shopper(history=["i1"] * 51),
            Wishes(limit=5),
            "history must be at most 50 item ids, got 51",
        ),
        (
            Shopper(history=["i" * 257]),
            Wishes(limit=5),
            "item_id must have 1 to 256 characters, got 257",
        ),
        (Shopper(history=[""]), Wishes(limit=5), "item_id must have 1 to 256"),
        (Shopper(user_id=""), Wishes(limit=5), "user_id must have 1 to 256"),
    ],
)
def test_an_invalid_request_is_refused_by_name(engine, shopper, wishes, rule):
    for ask in (engine.recommend, engine.retrieve):
        with pytest.raises(InvalidRequestError, match=rule):
            ask(shopper, wishes)


def test_ranking_refuses_no_or_too_many_candidates(engine):
    for candidates in ([], ["i1"] * 11):
        with pytest.raises(InvalidRequestError, match=f"1 to 10 item ids, got {len(candidates)}"):
            engine.rank(Shopper(history=["i3"]), candidates, Wishes(limit=1))


def test_unknown_candidates_are_skipped_and_reported(engine):
    answer = engine.rank(Shopper(history=["i3"]), ["i1", "nope", "i2", "i1"], Wishes(limit=5))

    assert sorted(ids(answer)) == ["i1", "i2"]
    assert answer.unknown_item_ids == ("nope",)


def test_neighbours_of_an_unknown_item_are_refused(engine):
    with pytest.raises(UnknownItemError, match="'nope'"):
        engine.similar("nope", Wishes(limit=3))


def test_every_stage_is_timed(engine):
    answer = engine.recommend(Shopper(history=["i3"]), Wishes(limit=3))

    assert set(answer.milliseconds) == {"user_tower", "index", "ranker", "total"}
    assert answer.milliseconds["total"] >= answer.milliseconds["ranker"] > 0


@pytest.mark.parametrize("history", [[], ["i3", "i1"]])
def test_a_search_is_answered_by_the_towers_alone(engine, history):
    shopper, wishes = Shopper(search="blue lamp", history=history), Wishes(limit=12)
    answer = engine.recommend(shopper, wishes)

    rows = np.array([int(i[1:]) for i in history], np.int32)
    user = engine.cascade.retriever.embed(rows, {}, search="blue lamp")
    expected, _ = engine.cascade.retriever.sources.nearest(user, rows, 12)
    assert answer.basis is Basis.SEARCH
    assert ids(answer) == [f"i{row}" for row in expected]
    assert ids(answer) == ids(engine.retrieve(shopper, wishes))
    assert all(item.sources == (Source.TOWERS,) for item in answer.items)
    assert all(item.ranker_score is None for item in answer.items)


@pytest.mark.parametrize("search", ["blue lamp", "red shirt", "navy basket"])
def test_a_search_for_a_title_finds_it(engine, search):
    answer = engine.recommend(Shopper(search=search), Wishes(limit=12))

    assert search in [item.title for item in answer.items]


def test_a_search_that_is_too_long_is_refused(engine):
    with pytest.raises(
        InvalidRequestError, match="search must be at most 1000 characters, got 1001"
    ):
        engine.recommend(Shopper(search="x" * 1001), Wishes(limit=5))


def test_times_and_actions_of_a_history_are_encoded_as_in_training(engine, release, shop):
    catalogue, cases = Catalogue.of(shop), shop.cases("test")
    for case, shopper in enumerate(case_shoppers(shop, cases)[:50]):
        np.testing.assert_array_equal(
            catalogue.given_history(shopper)[0].interaction_codes, cases.interaction_codes[case]
        )
    item = engine.retrieve(history_shopper(shop, 3), Wishes(limit=12)).items[0]
    user = engine.cascade.retriever.embed(
        shop.history(3, before=TEST), {}, interaction_codes=shop.history_codes(3, before=TEST)
    )
    row = np.array([catalogue.row(item.item_id)], np.int32)
    vector = np.load(release / "towers" / "item_embeddings.npy")[row[0]]

    assert item.tower_score == pytest.approx(float(vector @ user), abs=rounding(1, terms=512))


def test_an_unknown_item_is_dropped_with_its_time_and_action(shop):
    known = Shopper(
        history=["i3", "i1"], history_times=[5, 90_005], history_actions=["buy", "view"]
    )
    mixed = Shopper(
        history=["i3", "gone", "i1"],
        history_times=[5, 90_004, 90_005],
        history_actions=["buy", "view", "view"],
    )
    (found, _), (other, unknown) = (
        Catalogue.of(shop).given_history(shopper) for shopper in (known, mixed)
    )

    assert unknown == ("gone",)
    assert found.interaction_codes.tolist() == [GAPS, 2 * GAPS + 5]
    assert other.interaction_codes.tolist() == [GAPS, 2 * GAPS + 5]


def test_a_release_without_times_ignores_history_times(shop):
    untimed = Catalogue.of(replace(shop, timed=False))
    shopper = Shopper(history=["i3", "i1"], history_times=[5, 90_005], history_actions=["buy", ""])

    assert untimed.given_history(shopper)[0].interaction_codes.tolist() == [GAPS, 0]


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
    with pytest.raises(InvalidRequestError, match=rule):
        engine.recommend(Shopper(history=["i3", "i1"], **given))


def test_without_a_limit_an_answer_has_no_more_items_than_the_shortlist(engine):
    few = replace(engine, limits=replace(LIMITS, shortlist=5))

    assert len(few.similar("i3").items) == 5
    assert len(few.recommend(Shopper(history=["i3", "i1"])).items) == 5
    assert len(few.rank(Shopper(history=["i3"]), [f"i{row}" for row in range(4, 12)]).items) == 8

"""Probabilities of answers, and answers to those who want likely items alone."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from index.generated import Generated
from lineage.stages import RANKER
from ranker.calibrated import BY_RANKER, BY_SHORTLIST, Calibration, Curve
from ranker.depth import LEAST, Depth
from serving.api.errors import PreconditionError
from serving.api.limits import Limits
from serving.engine.engine import Engine, EngineConfig
from shortlist_client.api.answer import Basis
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.filters import AnyOf, Filters
from shortlist_client.api.request import Diversity, Shopper, Wishes

KNOWN = Shopper(user_id="u3")
ALL = Wishes(limit=40)


def by_id(answer):
    return {item.item_id: item.probability for item in answer.items}


@pytest.fixture
def engine(base):
    return replace(base, limits=Limits())


def test_an_item_has_the_probability_that_its_stored_curve_gives_its_score(engine, release):
    curves = Calibration.load(release / RANKER).by_history

    recalled = engine.retrieve(KNOWN, ALL)
    answer = engine.recommend(KNOWN, ALL)

    before = {item.item_id: item.score for item in recalled.items}
    assert 0 < answer.coverage.ranked < len(answer.items)
    for item in answer.items:
        expected = (
            curves[BY_SHORTLIST](np.array(before[item.item_id]))
            if item.ranker_score is None
            else curves[BY_RANKER](np.array(item.ranker_score))
        )
        assert item.probability == pytest.approx(float(expected), abs=1e-6)
    for item in recalled.items:
        assert item.probability == curves[BY_SHORTLIST](np.array(item.score))


def test_only_as_many_items_have_a_probability_as_the_curves_have_learnt_from(engine):
    """The fixture's shortlists have 40 items; the engine's have 200."""
    answer = engine.recommend(KNOWN, Wishes(limit=200))

    assert len(answer.items) > 40
    for item in answer.items:
        assert (item.probability is not None) == (item.shortlist_rank <= 40)
    likely = engine.recommend(KNOWN, Wishes(limit=200, min_probability=1e-9))
    assert {item.shortlist_rank for item in likely.items} <= set(range(1, 41))


def test_probabilities_are_looked_up_of_the_shown_items_alone(engine, monkeypatch):
    looked_up = []
    curve = Curve.__call__

    def counted(self, scores):
        looked_up.append(len(scores))
        return curve(self, scores)

    monkeypatch.setattr(Curve, "__call__", counted)
    engine.recommend(KNOWN, Wishes(limit=3))

    assert looked_up
    assert max(looked_up) == 3


def test_filters_and_diversity_do_not_change_a_probability(engine):
    whole = by_id(engine.retrieve(KNOWN, Wishes(limit=200)))

    filtered = engine.retrieve(
        KNOWN, Wishes(filters=Filters(must=[AnyOf("thing", ["mug", "lamp"])]))
    )
    diverse = engine.retrieve(KNOWN, Wishes(diversity=Diversity(strength=0.7)))

    for answer in (filtered, diverse):
        assert answer.items
        known = {item_id: p for item_id, p in by_id(answer).items() if whole.get(item_id)}
        assert known
        for item_id, probability in known.items():
            assert probability == pytest.approx(whole[item_id], abs=1e-6)


def with_generated(engine):
    """The engine where every item may be generated, the first ones by far the likeliest."""

    def generate(histories, excluded, allowed, size):
        found = []
        for left_out, among in zip(excluded, allowed, strict=True):
            rows = np.setdiff1d(np.arange(240) if among is None else among, left_out)[:size]
            found.append((rows.astype(np.int32), -np.arange(len(rows), dtype=np.float32)))
        return found

    retriever = engine.cascade.retriever
    sources = replace(retriever.sources, generated=Generated(generate=generate, weight=5.0))
    cascade = replace(
        engine.cascade,
        retriever=replace(retriever, sources=sources),
        features=replace(engine.cascade.features, sources=sources),
    )
    return replace(engine, cascade=cascade)


def test_generated_items_change_the_order_and_no_probability(engine):
    """Curves, ranker and rule have learnt from the trial, which generates nothing."""
    everything = Wishes(limit=200)
    plain, generated = (one.retrieve(KNOWN, everything) for one in (engine, with_generated(engine)))

    before, after = by_id(plain), by_id(generated)
    assert list(before) != list(after)
    common = [one for one in after if before.get(one) is not None and after[one] is not None]
    assert len(common) > 5
    assert [after[one] for one in common] == pytest.approx([before[one] for one in common])


def test_the_ranker_reads_scores_without_the_generated_part(engine, monkeypatch):
    read = []
    monkeypatch.setattr(
        "ranker.ranker.Ranker.score_all",
        lambda self, histories, rows, scores, features, **_: (
            read.append((rows[0], scores[0], features[0])) or [np.asarray(scores[0])]
        ),
    )
    with_generated(engine).recommend(KNOWN)

    ((rows, scores, features),) = read
    cascade = engine.cascade
    item_ids = [cascade.catalogue.item_id(int(row)) for row in rows]
    before = {item.item_id: item.score for item in engine.retrieve(KNOWN, Wishes(limit=200)).items}
    known = [place for place, item_id in enumerate(item_ids) if item_id in before]
    assert known
    column = cascade.features.names.index("shortlist score")
    for place in known:
        assert scores[place] == pytest.approx(before[item_ids[place]], abs=1e-4)
        assert features[place, column] == pytest.approx(before[item_ids[place]], abs=1e-4)


@pytest.mark.parametrize("diversity", [Diversity(), Diversity(at_most={"thing": 1})])
def test_less_likely_items_are_left_out(engine, diversity):
    whole = engine.recommend(KNOWN, Wishes(limit=200))
    known = {item_id: p for item_id, p in by_id(whole).items() if p is not None}
    least = float(np.median(list(known.values())))
    wishes = Wishes(limit=200, diversity=diversity, min_probability=least)

    likely = engine.recommend(KNOWN, wishes)

    expected = {item_id for item_id, probability in known.items() if probability >= least}
    if diversity:
        assert by_id(likely).keys() < expected
    else:
        assert by_id(likely).keys() == expected
    assert likely.coverage == whole.coverage


def test_nothing_is_that_likely(engine):
    answer = engine.recommend(KNOWN, Wishes(min_probability=1.0))

    assert not answer.items
    assert answer.basis is Basis.HISTORY


def test_best_sellers_have_no_probability_so_a_stranger_gets_nothing(engine):
    assert all(item.probability is None for item in engine.recommend(Shopper()).items)

    answer = engine.recommend(Shopper(), Wishes(min_probability=0.01))

    assert (list(answer.items), answer.basis) == ([], Basis.POPULARITY)


@pytest.mark.parametrize("least", [-0.1, 1.1, float("nan")])
def test_a_probability_lies_within_0_and_1(engine, least):
    with pytest.raises(InvalidRequestError, match="min_probability must be within 0 and 1, got"):
        engine.recommend(KNOWN, Wishes(min_probability=least))


def test_a_release_without_probabilities_says_so(engine):
    older = replace(engine, cascade=replace(engine.cascade, calibration=Calibration()))

    assert all(item.probability is None for item in older.recommend(KNOWN).items)
    with pytest.raises(PreconditionError, match=r"probabilities of recommendations.*`make ranker`"):
        older.recommend(KNOWN, Wishes(min_probability=0.1))


def test_nobody_searched_so_a_search_has_no_probabilities(engine):
    with pytest.raises(PreconditionError, match="probabilities of searches"):
        engine.recommend(Shopper(search="red mug"), Wishes(min_probability=0.1))
    vector = [1.0] * engine.cascade.retriever.sources.index.dimension
    with pytest.raises(InvalidRequestError, match="min_probability must not come with a vector"):
        engine.recommend(Shopper(vector=vector), Wishes(min_probability=0.1))


def test_a_ranker_without_a_curve_leaves_its_items_the_shortlists(engine):
    curve = Curve(scores=[-100.0, 100.0], probabilities=[0.0, 1.0])
    found = Calibration(by_history={BY_SHORTLIST: curve}).probabilities(
        np.array([3.0, np.nan]), np.array([0.0, 50.0]), searched=False
    )

    np.testing.assert_allclose(found, [0.5, 0.75])


def test_a_stage_without_the_file_has_learnt_nothing(tmp_path):
    assert Calibration.load(tmp_path) == Calibration()


def test_auto_ranks_as_many_items_as_its_rule_says(engine):
    rule = Depth(rule="number", value=20, most=30)
    whole, auto = replace(engine, head=30), replace(engine, head=30, depth=rule)

    assert whole.recommend(KNOWN, ALL).coverage.ranked == 30
    assert auto.recommend(KNOWN, ALL).coverage.ranked == 20
    assert auto.recommend(KNOWN, ALL, ranked=25).coverage.ranked == 25


def test_auto_reads_the_shortlists_scores(engine):
    gap = Depth(rule="gap", value=0.0, most=30)
    auto = replace(engine, head=30, depth=gap)

    scores = np.array([item.score for item in engine.retrieve(KNOWN, ALL).items])

    assert auto.recommend(KNOWN, ALL).coverage.ranked == gap(scores)
    assert auto.rank(KNOWN, [f"i{row}" for row in range(40)]).coverage.ranked == 40 > LEAST


def test_auto_is_loaded_from_the_release(release):
    learnt = Calibration.load(release / RANKER).depth

    assert learnt is not None
    assert Engine.load(release, EngineConfig(shortlist="auto")).depth == learnt
    assert Engine.load(release, EngineConfig()).depth is None


def test_auto_on_an_older_release_warns_and_ranks_all(release, caplog, monkeypatch):
    monkeypatch.setattr("ranker.calibrated.Calibration.load", lambda _: Calibration())

    with caplog.at_level(logging.WARNING):
        older = Engine.load(release, EngineConfig(shortlist="auto"))

    assert (older.depth, older.head) == (None, older.cascade.validated_head)
    assert "has not learnt how many items are worth ranking, so 6 are ranked" in caplog.text


def test_auto_and_a_number_exclude_each_other():
    with pytest.raises(ValueError, match="ranked must be absent where shortlist is auto, got 6"):
        EngineConfig(ranked=6, shortlist="auto")

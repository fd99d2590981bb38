"""Best sellers as of now and histories that decay by time, merged with the other sources."""

from dataclasses import replace

import numpy as np
import pytest
from pyroaring import BitMap

from dataset.clock import When
from dataset.demand import Demand
from dataset.interaction_codes import DAY
from index.by_history import NEWEST
from index.config import BestSellersConfig, NeighboursConfig
from index.faiss_store.store import FaissStore
from index.item_knn import NeighbourLists
from index.recall_sources import RecallSources
from tests.rounding import rounding

pytestmark = pytest.mark.numeric

NOW = 1_735_000_000
HISTORY = np.array([3, 11, 7], np.int32)
SOLD = {200: 40, 3: 30, 150: 20, 151: 10, 90: 5}
"""Purchases in the last week by item; one of them is in the history"""
FORMERLY = {60: 90}
SIZE = 6


def demand():
    """What sold in the week before now, and what sold more than a month before."""
    items = [np.repeat(list(sold), list(sold.values())) for sold in (SOLD, FORMERLY)]
    times = [np.full(len(items[0]), NOW - 2 * DAY), np.full(len(items[1]), NOW - 40 * DAY)]
    return Demand.of(np.concatenate(items), np.concatenate(times))


@pytest.fixture(scope="module")
def make(release):
    store = FaissStore.load(release / "index")
    neighbours = NeighbourLists.load(release / "index")

    weekly = demand()

    def make(weight=0.5, *, sales=weekly, half_life=None, window=7):
        return RecallSources.of(
            store,
            neighbours,
            temperature=0.05,
            config=NeighboursConfig(weight=0.5, half_life=half_life),
            demand=sales,
            best_sellers=BestSellersConfig(weight=weight, window=window),
        )

    return make


@pytest.fixture(scope="module")
def user(release):
    return np.load(release / "towers" / "user_embeddings.npy")[0]


def columns(recalled):
    return {name: values for name, values in vars(recalled).items() if name != "shortlist"}


def test_what_sells_as_of_now_joins_the_union_unless_the_shopper_has_it(make, user):
    sources = make()

    by_towers, _ = sources.nearest(user, HISTORY, SIZE)
    union = sources.united(user, HISTORY, by_towers, SIZE, when=When(NOW))
    before = sources.shortlist(user, HISTORY, 240, when=When(NOW - 30 * DAY))

    assert set(union.rows[union.by_sales]) == {200, 150, 151, 90}
    assert dict(zip(union.rows, union.sales, strict=True))[200] == 40
    assert len(np.unique(union.rows)) == len(union.rows)
    assert not before.by_sales.any()  # nothing sold in the week before
    assert not np.isin(60, union.rows[union.by_sales])


def test_a_sale_adds_its_weighted_logarithm_to_the_score(make, user):
    plain = make(0.0).score_items(user, HISTORY, np.array([200, 150, 5], np.int32), when=When(NOW))
    sold = make(1.5).score_items(user, HISTORY, np.array([200, 150, 5], np.int32), when=When(NOW))

    added = 1.5 * np.log1p([40, 20, 0])
    np.testing.assert_allclose(
        sold.scores, plain.scores + added, atol=rounding(sold.scores, terms=4)
    )


@pytest.mark.parametrize("without", [{"weight": 0.0}, {"sales": None}])
def test_without_weight_or_times_nothing_changes(make, user, without):
    now = make(**without).shortlist(user, HISTORY, 30, when=When(NOW))
    never = make(sales=None).shortlist(user, HISTORY, 30)

    assert not now.by_sales.any()
    for name, values in columns(never).items():
        if name != "sales":
            np.testing.assert_array_equal(columns(now)[name], values, err_msg=name)


def test_searches_neither_recall_nor_count_what_sells(make, user):
    found = make().shortlist(user, HISTORY, 30, uses_neighbours=False)

    assert found.by_towers.all()
    assert not found.by_sales.any()
    assert not found.sales.any()


def test_best_sellers_need_a_now(make, user):
    with pytest.raises(ValueError, match="now must be given where best sellers are recalled"):
        make().shortlist(user, HISTORY, 30)


def test_filters_hold_for_best_sellers_which_are_looked_for_further_down(make, user, monkeypatch):
    monkeypatch.setattr("index.sales.HEAD", 2)
    allowed = BitMap([90, 151, 5])

    found = make(4.0).shortlist(user, HISTORY, 2, allowed=allowed, when=When(NOW))

    assert found.rows.tolist() == [151, 90]
    assert found.by_sales.all()


def test_a_changed_item_sells_under_its_new_row_and_a_deleted_one_does_not(make, user):
    sources = make(4.0)
    vector = sources.index.vectors(np.array([200]))
    index = sources.index.changed(vector, np.array([200]), hidden=np.array([200, 150]))
    changed = replace(sources, index=index)

    found = changed.shortlist(user, HISTORY, 240, when=When(NOW))

    place = found.rows.tolist().index(len(sources.index))
    assert found.sales[place] == 40
    assert found.by_sales[place]
    assert not np.isin([200, 150], found.rows).any()


def test_later_events_move_the_best_sellers(make, user):
    sources = make(4.0)
    events = np.full(100, 33), np.full(100, NOW - 60)

    after = sources.with_demand(demand().with_events(*events))

    now = {"embedding": user, "history": HISTORY, "size": 240, "when": When(NOW)}
    assert 33 in (found := after.shortlist(**now)).rows[found.by_sales]
    assert 33 not in (found := sources.shortlist(**now)).rows[found.by_sales]


def test_a_history_decays_by_time_where_its_times_are_known(make, user):
    times = NOW - DAY * np.array([60, 30, 0])
    rows = np.arange(240, dtype=np.int32)
    sources = make(half_life=30.0)

    found = sources.score_items(user, HISTORY, rows, when=When(NOW, times))

    expected = np.zeros(240)
    for row, weight in zip(HISTORY, [0.25, 0.5, 1.0], strict=True):
        known, scores = sources.neighbours.scores(np.array([row]), decay=1.0)
        expected[known] += weight * scores
    np.testing.assert_allclose(found.neighbour_scores, expected, atol=rounding(expected, terms=4))
    by_place = make().score_items(user, HISTORY, rows, when=When(NOW))
    unknown = sources.score_items(user, HISTORY, rows, when=When(NOW))
    np.testing.assert_array_equal(unknown.neighbour_scores, by_place.neighbour_scores)


def test_the_newest_items_of_a_long_history_count_by_time(make, user):
    history = np.resize(np.arange(240, dtype=np.int32), NEWEST + 50)
    times = NOW - np.arange(len(history))[::-1]
    codes = np.zeros(len(history), np.int32)
    sources, rows = make(half_life=7.0), np.array([1, 2], np.int32)

    of_all = sources.score_items(
        user, history, rows, interaction_codes=codes, when=When(NOW, times)
    )
    of_newest = sources.score_items(
        user, history[50:], rows, interaction_codes=codes[50:], when=When(NOW, times[50:])
    )

    np.testing.assert_array_equal(of_all.neighbour_scores, of_newest.neighbour_scores)


@pytest.mark.parametrize(("option", "value"), [("weight", -1), ("window", 0)])
def test_best_sellers_config_refuses_invalid_values(option, value):
    with pytest.raises(ValueError, match=option):
        BestSellersConfig(**{option: value})

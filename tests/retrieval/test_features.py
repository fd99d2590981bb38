import shutil
from dataclasses import replace

import numpy as np
import pytest

from backbone.config import TrainingConfig
from dataset.arrays import TEST, load_dataset
from dataset.interaction_codes import DAY, GAPS
from index import demand_eras
from index.item_knn import NeighbourLists, next_items
from lineage.cli import run
from lineage.manifest import MismatchedArtifactError
from ranker.config import RankerConfig
from ranker.shortlists import Shortlists
from ranker.train import train
from retrieval.config import ShortlistsConfig
from retrieval.feature_context import DECAY, FLOOR, HALF_LIFE, WINDOWS
from retrieval.features import (
    FEATURES,
    RETURNING,
    TIMED,
    Feature,
    Features,
    feature_names,
    features_of,
    require_features,
)
from retrieval.mine_shortlists import mine
from retrieval.retriever import ResolvedShopper, Retriever
from serving.engine.engine import Engine, EngineConfig
from shortlist_client.api.request import Shopper, Wishes
from tests.rounding import BATCHES, SERVED, rounding

pytestmark = pytest.mark.numeric


@pytest.fixture(scope="module")
def retriever(release):
    return Retriever.load(release / "trial")


@pytest.fixture(scope="module")
def data(release):
    return load_dataset(release / "data")


def test_every_feature_has_a_unit_and_a_name_of_its_own():
    names = feature_names()

    assert len(set(names)) == len(names) == len(FEATURES) + len(TIMED) + len(RETURNING)
    every = features_of(timed=True, returning=True)
    assert all(feature.name.strip() and feature.unit.strip() for feature in every)


@pytest.mark.parametrize(
    ("change", "described"),
    [
        (lambda names: names[1:], "missing: 'shortlist score'"),
        (lambda names: [*names, "height"], "extra: 'height'"),
        (lambda names: ["height", *names[1:]], "missing: 'shortlist score'; extra: 'height'"),
        (
            lambda names: [names[1], names[0], *names[2:]],
            "moved: 'gap to the best shortlist score', 'shortlist score'",
        ),
    ],
)
def test_a_ranker_with_other_features_is_refused_by_name_and_command(tmp_path, change, described):
    folder = tmp_path / "shop" / "ranker"
    require_features(feature_names(), folder)

    with pytest.raises(MismatchedArtifactError, match="`make ranker DATASET=shop`") as refused:
        require_features(change(feature_names()), folder)

    assert f"({described})" in str(refused.value)


def test_a_new_feature_is_mined_trained_on_and_served(release, tiny_bert, tmp_path, monkeypatch):
    """Only `FEATURES` changes."""
    root = shutil.copytree(release, tmp_path / "shop", ignore=shutil.ignore_patterns("training"))
    twice = Feature("twice the cosine", "cosine", lambda c: 2 * c.candidates.cosines)
    monkeypatch.setattr("retrieval.features.FEATURES", (twice, *FEATURES))
    monkeypatch.setattr("evaluation.paired_gain.Gain.pays", True)
    few = TrainingConfig(max_epochs=1, examples_per_epoch=32, batch_size=16, learning_rate=3e-3)

    with pytest.raises(MismatchedArtifactError, match="missing: 'twice the cosine'"):
        Engine.load(root, EngineConfig())
    for stage, config, build in (
        ("trial/shortlists", ShortlistsConfig(valid_users=20, size=40), mine),
        ("ranker", RankerConfig(backbone=str(tiny_bert), width=32, ranked=6, training=few), train),
    ):
        run(stage, config, root, build)

    mined, engine = (
        Shortlists.load(root / "trial" / "shortlists"),
        Engine.load(root, EngineConfig()),
    )
    names = feature_names(returning=False)
    assert mined.feature_names == engine.cascade.ranker.feature_names == names
    new, cosines = (mined.feature_names.index(name) for name in (twice.name, "cosine to the user"))
    np.testing.assert_array_equal(mined.features[..., new], 2 * mined.features[..., cosines])
    answer = engine.recommend(Shopper(history=["i3", "i11"]), Wishes(limit=5))
    assert all(np.isfinite(item.ranker_score) for item in answer.items)


@pytest.fixture
def features(retriever, data, release):
    """Features as of long after the shop's last purchase, unless another now is given."""
    timed = Features.load(release / "trial", retriever.sources, data.popularity)

    def compute(history, candidates, *, now=NOW, times=None):
        return timed(history, candidates, now=now, times=times)

    return compute


@pytest.fixture
def untimed_features(retriever, data, release):
    timed = Features.load(release / "trial", retriever.sources, data.popularity)
    return replace(timed, demand=None)


NOW = 4_000_000_000  # after the shop's last purchase


def column(table, name):
    return table[:, feature_names(returning=False).index(name)]


def weight(lists, owner, row):
    """Weight of a row in an owner's list, looked up alone."""
    span = slice(lists.starts[owner], lists.starts[owner + 1])
    found = lists.weights[span][lists.rows[span] == row]
    return float(found[0]) if len(found) else 0.0


def test_every_feature_has_the_value_that_its_name_promises(
    untimed_features, retriever, data, release
):
    history = np.array([3, 11, 3, 25], np.int32)
    recalled = retriever.shortlist(history, 30, {})
    table = untimed_features(history, recalled)
    vectors = retriever.sources.index.vectors(np.arange(len(data.item_ids), dtype=np.int32))
    together, after = retriever.sources.neighbours, retriever.sources.next_items
    era = demand_eras.load(release / "trial" / "index")[:, 0]
    last, first = (np.zeros(len(data.item_ids), int) for _ in range(2))
    for user in range(data.users):
        last[data.history(user)[-1]] += 1
        first[data.history(user)[0]] += 1

    assert table.shape == (30, len(FEATURES))
    tolerance = rounding(table, terms=16)
    for place, row in enumerate(recalled.rows.tolist()):
        newest = history[::-1]
        bought_with = [np.log(weight(together, item, row) + FLOOR) for item in newest]
        bought_after = [np.log(weight(after, item, row) + FLOOR) for item in newest]
        bought_before = [np.log(weight(after, row, item) + FLOOR) for item in newest]
        cosines = vectors[newest] @ vectors[row]
        recency = DECAY ** np.arange(4)
        expected = {
            "shortlist score": recalled.scores[place],
            "rank by shortlist score": np.log1p(place),
            "popularity": np.log1p(data.popularity[row]),
            "history length": np.log1p(4),
            "bought with the last item": bought_with[0],
            "bought with the second last item": bought_with[1],
            "bought with any item, maximum": max(bought_with),
            "bought after the last item": bought_after[0],
            "bought after any item, maximum": max(bought_after),
            "bought after all items, decayed sum": np.log(
                sum(recency * [weight(after, item, row) for item in newest]) + FLOOR
            ),
            "bought before the last item": bought_before[0],
            "bought before any item, maximum": max(bought_before),
            "cosine to the last item": cosines[0],
            "cosine to any item, maximum": max(cosines.max(), 0),
            "cosine to all items, mean": cosines.mean(),
            "cosine to all items, decayed mean": (recency * cosines).sum() / recency.sum(),
            "era": era[row],
            "era minus the last item's": era[row] - era[25],
            "era minus the latest": era[row] - era[history].max(),
            "era minus the last three's": era[row] - era[newest[:3]].mean(),
            "purchases that are a user's last, share": np.log(
                (last[row] + 0.5) / (data.popularity[row] + 3)
            ),
            "purchases that are a user's last": np.log1p(last[row]),
            "purchases that are a user's first, share": np.log(
                (first[row] + 0.5) / (data.popularity[row] + 3)
            ),
        }
        for name, value in expected.items():
            found = table[place, feature_names(timed=False, returning=False).index(name)]
            assert found == pytest.approx(value, abs=tolerance), name


def test_every_timed_feature_counts_what_came_before_now(features, retriever, data):
    history = np.array([3, 11, 3, 25], np.int32)
    recalled = retriever.shortlist(history, 30, {})
    counted = np.flatnonzero(data.counted(data.splits < TEST))
    items, times = data.items[counted], data.times[counted] // 1_000_000
    now = int(np.quantile(times, 0.8))
    of_history = np.array([now - 40 * DAY, now - 9 * DAY, now - 9 * DAY, now - 2 * DAY])
    weights = 0.5 ** (np.array([2, 9, 9, 40]) / HALF_LIFE)
    together = retriever.sources.neighbours

    table = features(history, recalled, now=now, times=of_history)

    assert table.shape == (30, len(FEATURES) + len(TIMED))
    tolerance = rounding(table, terms=16)
    for place, row in enumerate(recalled.rows.tolist()):
        mine = times[(items == row) & (times < now)]
        bought = {days: (mine >= now - days * DAY).sum() for days in WINDOWS}
        expected = {
            "popularity": np.log1p(len(mine)),
            "purchases in 7 days against 28": np.log((bought[7] + 0.5) / (bought[28] / 4 + 0.5)),
            "age of the item": np.log1p((now - mine.min()) / DAY) if len(mine) else 0,
            "gap to now": np.log1p(2),
            "recalled by best sellers": float(recalled.by_sales[place]),
            "rank by sales": np.log1p((recalled.sales > recalled.sales[place]).sum()),
            "bought with all items, decayed by time": np.log(
                sum(weights * [weight(together, item, row) for item in history[::-1]]) + FLOOR
            ),
        }
        for days, count in bought.items():
            name = f"purchases in the last {days} days"
            expected |= {
                name: np.log1p(count),
                f"{name}, share": np.log((count + 0.5) / (len(mine) + 3)),
            }
        assert {*expected} - {"popularity"} == {feature.name for feature in TIMED}
        for name, value in expected.items():
            assert column(table, name)[place] == pytest.approx(value, abs=tolerance), name


def test_what_was_viewed_counts_less_beside_a_purchase_and_alike_alone(retriever, data, release):
    history, names = np.array([3, 11], np.int32), ("bought with", "bought after", "bought before")
    weighed = replace(retriever.sources, action_weights=np.array([1, 1, 0.125], np.float32))
    features = replace(
        Features.load(release / "trial", retriever.sources, data.popularity), sources=weighed
    )
    recalled, buy, view = retriever.shortlist(history, 30, {}), GAPS, 2 * GAPS

    def of(*codes):
        codes = None if codes == (None,) else np.array(codes, np.int32)
        return features(history, recalled, now=NOW, interaction_codes=codes)

    equal = of(None)
    np.testing.assert_array_equal(of(buy, buy), equal)
    np.testing.assert_array_equal(of(view, view), equal)
    after_view = of(buy, view)
    for place, name in enumerate(feature_names(returning=False)):
        if name.startswith(names) and "the last item" in name:
            share = np.exp(equal[:, place]) - FLOOR
            expected = np.log(share / 8 + FLOOR)
            np.testing.assert_allclose(after_view[:, place], expected, atol=1e-4)
        elif not name.startswith(names):
            np.testing.assert_array_equal(after_view[:, place], equal[:, place])


def test_timed_features_without_a_now_are_an_error(retriever, data, release):
    timed = Features.load(release / "trial", retriever.sources, data.popularity)
    history = np.array([3], np.int32)

    with pytest.raises(ValueError, match="now must be given where interactions have times"):
        timed(history, retriever.shortlist(history, 5, {}))


def test_a_shopper_of_unknown_times_acts_now(features, retriever):
    history = np.array([3, 11], np.int32)

    table = features(history, retriever.shortlist(history, 10, {}))

    assert (column(table, "gap to now") == 0).all()


def test_the_trial_counts_nothing_of_the_test(release, data, retriever):
    training = data.demand(before=TEST)

    loaded = Features.load(release / "trial", retriever.sources, data.popularity).demand

    np.testing.assert_array_equal(loaded.keys, training.keys)
    assert len(loaded.keys) < len(data.demand().keys)


def test_a_ranker_of_timed_features_is_refused_where_there_are_no_times(tmp_path):
    with pytest.raises(MismatchedArtifactError, match=r"\(extra: 'purchases in the"):
        require_features(feature_names(), tmp_path, timed=False)


def test_features_are_the_same_in_training_and_in_serving(features, retriever, data, release):
    stored = Shortlists.load(release / "trial" / "shortlists")

    cases = data.cases("valid").at(stored.places)
    for place in (0, len(cases) - 1):
        history, interaction_codes = cases.histories[place], cases.interaction_codes[place]
        served = retriever.shortlist(
            history,
            stored.rows.shape[1],
            {},
            interaction_codes=interaction_codes,
            when=cases.when(place),
        )
        order = np.argsort(stored.rows[place])
        position = order[np.searchsorted(stored.rows[place][order], served.rows)]
        assert (stored.rows[place][position] == served.rows).all()
        # bf16 sums depend on the batch, so items with nearly equal scores may swap places
        names, (now, times) = feature_names(returning=False), cases.when(place)
        unranked = [column for column, name in enumerate(names) if "rank" not in name]
        expected = stored.features[place][position][:, unranked]
        np.testing.assert_allclose(
            features(history, served, now=now, times=times)[:, unranked],
            expected,
            atol=rounding(expected, **BATCHES, dtype=SERVED),
        )
        assert np.abs(position - np.arange(len(position))).max() <= 3


def test_a_history_of_one_item_has_empty_features_of_the_second_last_item(features, retriever):
    history = np.array([3], np.int32)
    table = features(history, retriever.shortlist(history, 10, {}))

    assert (column(table, "bought with the second last item") == np.float32(np.log(FLOOR))).all()
    assert (column(table, "cosine to the second last item") == 0).all()
    assert np.isfinite(table).all()


def test_next_items_weigh_by_distance_and_by_how_often_an_item_is_followed():
    offsets, items = np.array([0, 3, 5]), np.array([0, 1, 2, 0, 2], np.int32)

    following = next_items(offsets, items, 3, shrinkage=0.0, kept=5)

    # item 0 is followed by item 1 (next place) and by item 2 (next place, and two places later)
    np.testing.assert_allclose(
        following.between(np.array([0, 1, 2], np.int32), np.array([1, 2], np.int32)),
        [[1 / 2.5, 1.5 / 2.5], [0, 1], [0, 0]],
        atol=rounding(1, terms=2),
    )


def test_neighbour_weights_do_not_depend_on_the_order_of_the_rows():
    lists = NeighbourLists(
        starts=np.array([0, 2, 3, 3]),
        rows=np.array([2, 1, 0], np.int32),
        weights=np.array([0.5, 0.25, 0.125], np.float32),
    )

    found = lists.between(np.array([1, 0, 2], np.int32), np.array([2, 0, 1], np.int32))

    assert found.tolist() == [[0, 0.125, 0], [0.5, 0, 0.25], [0, 0, 0]]


def test_a_given_item_has_the_features_that_it_has_in_the_shortlist(features, retriever):
    history = np.array([3, 11, 7], np.int32)
    shopper = ResolvedShopper(history=history)
    (shortlist,) = retriever.recall([shopper], 30, {})
    few = shortlist.rows[[20, 3, 9]]

    (given,) = retriever.recall([shopper], 30, {}, given=[few])

    expected = features(history, shortlist)[[20, 3, 9]]
    tolerance = rounding(expected, terms=16)
    np.testing.assert_allclose(features(history, given), expected, atol=tolerance)
    assert not (given.by_towers | given.by_neighbours).any()


def test_a_given_item_beyond_the_shortlist_ranks_below_it(features, retriever):
    history = np.array([3, 11, 7], np.int32)
    shopper = ResolvedShopper(history=history)
    (shortlist,) = retriever.recall([shopper], 10, {})
    other = np.setdiff1d(np.arange(100, 240), np.append(shortlist.rows, history))[:1]

    (given,) = retriever.recall([shopper], 10, {}, given=[other.astype(np.int32)])

    table = features(history, given)
    assert column(table, "rank by shortlist score") == pytest.approx(np.log1p(10))
    assert column(table, "gap to the best shortlist score") < 0
    assert column(table, "recalled by the towers") == 0

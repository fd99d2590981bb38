import shutil

import numpy as np
import pytest

from backbone.config import TrainingConfig
from dataset.arrays import load_dataset
from index import demand_eras
from index.item_knn import NeighbourLists, next_items
from lineage.cli import run
from lineage.manifest import MismatchedArtifactError
from ranker.config import RankerConfig
from ranker.shortlists import Shortlists
from ranker.train import train
from retrieval.config import ShortlistsConfig
from retrieval.features import (
    DECAY,
    FEATURES,
    FLOOR,
    Feature,
    Features,
    feature_names,
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

    assert len(set(names)) == len(names) == len(FEATURES)
    assert all(feature.name.strip() and feature.unit.strip() for feature in FEATURES)


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
    assert mined.feature_names == engine.cascade.ranker.feature_names == feature_names()
    new, cosines = (mined.feature_names.index(name) for name in (twice.name, "cosine to the user"))
    np.testing.assert_array_equal(mined.features[..., new], 2 * mined.features[..., cosines])
    answer = engine.recommend(Shopper(history=["i3", "i11"]), Wishes(limit=5))
    assert all(np.isfinite(item.ranker_score) for item in answer.items)


@pytest.fixture
def features(retriever, data, release):
    return Features.load(release / "trial", retriever.sources, data.popularity)


def column(table, name):
    return table[:, feature_names().index(name)]


def weight(lists, owner, row):
    """Weight of a row in an owner's list, looked up alone."""
    span = slice(lists.starts[owner], lists.starts[owner + 1])
    found = lists.weights[span][lists.rows[span] == row]
    return float(found[0]) if len(found) else 0.0


def test_every_feature_has_the_value_that_its_name_promises(features, retriever, data, release):
    history = np.array([3, 11, 3, 25], np.int32)
    recalled = retriever.shortlist(history, 30, {})
    table = features(history, recalled)
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
            assert column(table, name)[place] == pytest.approx(value, abs=tolerance), name


def test_features_are_the_same_in_training_and_in_serving(features, retriever, data, release):
    stored = Shortlists.load(release / "trial" / "shortlists")

    cases = data.cases("valid").at(stored.places)
    for place in (0, len(cases) - 1):
        history, interaction_codes = cases.histories[place], cases.interaction_codes[place]
        served = retriever.shortlist(
            history, stored.rows.shape[1], {}, interaction_codes=interaction_codes
        )
        order = np.argsort(stored.rows[place])
        position = order[np.searchsorted(stored.rows[place][order], served.rows)]
        assert (stored.rows[place][position] == served.rows).all()
        # bf16 sums depend on the batch, so items with nearly equal scores may swap places
        unranked = [column for column, name in enumerate(feature_names()) if "rank" not in name]
        expected = stored.features[place][position][:, unranked]
        np.testing.assert_allclose(
            features(history, served)[:, unranked],
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

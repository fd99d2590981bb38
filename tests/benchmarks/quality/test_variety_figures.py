"""Variety, groups of users and the ranker's features, on cases of which the result is known."""

from dataclasses import replace

import lightgbm
import numpy as np
import polars as pl
import pytest

from benchmarks.quality.config import BenchConfig
from benchmarks.quality.groups_of_users import ACTIVITY, groupings
from benchmarks.quality.importance import importance, in_order, rules, surrogate
from benchmarks.quality.ranked_cases import RankedCases
from benchmarks.quality.trade_offs import CALIBRATED, DIVERSE, trade_offs
from benchmarks.quality.variety_figures import category_of, quality_by_group, variety
from dataset.prepare.users import save_users
from profiles.attribute_values import AttributeValues

CONFIG = BenchConfig()
COLOUR = AttributeValues(
    name="colour",
    values=[f"c{number}" for number in range(12)],
    offsets=np.arange(241),
    numbers=np.repeat(np.arange(12), 20).astype(np.int32),
)


@pytest.fixture(scope="module")
def cases(shop):
    return shop.cases("test").select(np.arange(60))


@pytest.fixture(scope="module")
def vectors():
    vectors = np.random.default_rng(0).normal(size=(240, 8)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def lists(cases):
    """The targets first, then others of the colour; the same ten items for all."""
    others = [np.setdiff1d(np.arange(240), target) for target in cases.targets]
    own = np.stack(
        [[*target, *rest[:9]] for target, rest in zip(cases.targets, others, strict=True)]
    )
    return {
        "cascade": own.astype(np.int32),
        "shortlist": np.tile(np.arange(10, dtype=np.int32), (60, 1)),
    }


def test_figures_of_lists_that_are_all_alike(shop, cases, lists, vectors):
    found = variety(
        CONFIG,
        shop,
        lists,
        cases,
        expected=lists["shortlist"],
        vectors=vectors,
        attributes=[COLOUR],
        category=COLOUR,
    )

    same = found["systems"]["shortlist"]
    assert same["coverage@10"]["value"] == pytest.approx(10 / 240)
    assert same["Gini of exposure"] > 0.95
    assert same["diversity of colour"]["value"] == pytest.approx(0)  # ten items of the first colour
    assert same["serendipity"]["value"] == 0  # all are expected
    assert found["systems"]["cascade"]["serendipity"]["value"] > 0.05
    for groups in found["exposure"].values():
        for system in ("relevance", "cascade", "shortlist"):
            assert sum(group[system]["value"] for group in groups.values()) == pytest.approx(1)
    assert list(found["exposure"]) == ["popularity", "colour"]
    shown = {
        name: group["shortlist"]["value"] for name, group in found["exposure"]["colour"].items()
    }
    assert max(shown.values()) == pytest.approx(1)


def test_a_category_that_no_item_has_is_refused_by_name():
    with pytest.raises(ValueError, match=r"category must be .*\(colour\), got 'brand'"):
        category_of([COLOUR], "brand")
    assert category_of([], "") is None
    assert category_of([COLOUR], "") is COLOUR


def test_users_are_grouped_by_their_columns_and_by_activity(shop, cases, lists, tmp_path):
    ids = list(shop.user_ids)
    first = set(ids[:30])
    table = pl.DataFrame(
        {
            "user_id": ids,
            "age": [float(row % 50) for row in range(len(ids))],
            "sex": ["f" if user in first else "m" for user in ids],
            "since": pl.Series([2000 + row % 20 for row in range(len(ids))]).cast(pl.String),
        }
    ).with_columns(pl.col("since").str.to_date("%Y"))
    save_users(tmp_path, pl.DataFrame({"user_id": ids}), table)

    found = {grouping.name: grouping for grouping in groupings(tmp_path, shop, cases)}

    assert list(found) == [ACTIVITY, "age", "sex", "since"]
    assert set(found["sex"].groups) == {"f", "m"}
    measured = np.unique(cases.user_rows)
    assert (found["sex"].of_user[measured] >= 0).all()
    assert (np.delete(found["sex"].of_user, measured) == -1).all()
    assert "under 2004" in found["since"].groups

    half = {"cascade": np.where((cases.user_rows < 30)[:, None], lists["cascade"], -1)}
    quality = quality_by_group(CONFIG, half, cases, [found["sex"]])["sex"]
    assert quality["users"] == {"f": 30, "m": 30}
    assert quality["ndcg@10"]["cascade"]["f"]["value"] == pytest.approx(1)
    gap = quality["largest gap"]["cascade"]
    assert (gap["best"], gap["worst"], gap["gap"]["value"]) == ("f", "m", pytest.approx(1))


def test_more_weight_trades_quality_for_variety(cases, vectors):
    order = np.tile(np.arange(60, dtype=np.int32), (60, 1))
    for row, target in zip(order, cases.targets, strict=True):
        kept = np.setdiff1d(row, target)[: 60 - len(target)]
        row[:] = [*target, *kept]

    found = trade_offs(CONFIG, order, cases, vectors=vectors, category=COLOUR)

    assert found["cases"] == 60
    for option, figure, sign in (
        (DIVERSE, "diversity of embeddings", 1),
        (CALIBRATED, "miscalibration, nats", -1),
    ):
        plain, most = found[option]["0"], found[option]["0.8"]
        assert plain["ndcg@10"]["value"] == 1
        assert most["ndcg@10"]["value"] <= 1
        assert sign * (most[figure] - plain[figure]) > 0


def test_only_the_feature_that_the_ranker_reads_is_missed(cases):
    rng = np.random.default_rng(0)
    others = [np.setdiff1d(np.arange(240), target)[:39] for target in cases.targets]
    rows = [
        np.array([*rest, *target][-40:]) for target, rest in zip(cases.targets, others, strict=True)
    ]
    features = [rng.normal(size=(40, 2)).astype(np.float32) for _ in range(60)]
    for of_case, row, target in zip(features, rows, cases.targets, strict=True):
        of_case[:, 1] += 3 * np.isin(row, target)
    scorers = [lambda given: [of_case[:, 1] for of_case in given]] * 8
    ranked = RankedCases(
        cases=cases, rows=rows, features=features, names=["a", "b"], scorers=scorers
    )

    found = importance(ranked, 0)

    for way in ("shuffled", "set to its mean"):
        unread, read = (found["features"][name][way] for name in ("a", "b"))
        assert unread["first 10 moved"]["value"] == unread["ndcg@10 lost"]["value"] == 0
        assert read["first 10 moved"]["low"] > 0.5
        assert read["ndcg@10 lost"]["low"] > 0.3
    assert found["surrogate"]["rules"].startswith("if b ≤ ")


def test_a_tree_of_a_step_is_found_with_full_fidelity(cases):
    rng = np.random.default_rng(0)
    features = [rng.normal(size=(40, 3)).astype(np.float32) for _ in range(60)]
    ranked = RankedCases(
        cases=cases, rows=[], features=features, names=["a, b", "price", "age"], scorers=[]
    )
    scores = [np.where(of[:, 1] > 0.5, 2.0, -1.0).astype(np.float32) for of in features]

    found = surrogate(ranked, scores, 0)

    assert found["fidelity"] > 0.95
    assert found["pairs in order"] == pytest.approx(1, abs=0.01)
    first, *_ = found["rules"].split("\n")
    assert first.startswith("if price ≤ 0.")
    assert surrogate(replace(ranked, cases=cases.select(np.zeros(1, np.int64))), scores, 0) == {}


def test_a_tree_without_a_split_has_one_rule():
    booster = lightgbm.train(
        {"objective": "regression", "verbose": -1, "min_data_in_leaf": 50},
        lightgbm.Dataset(np.zeros((60, 1)), np.ones(60)),
        1,
    )

    (rule,) = rules(booster, ["a"])

    assert rule.endswith("(100% of the candidates)")


def test_pairs_in_order():
    assert in_order(np.array([3.0, 2, 1]), np.array([9.0, 8, 7])) == 1
    assert in_order(np.array([3.0, 2, 1]), np.array([7.0, 8, 9])) == 0
    assert in_order(np.array([3.0, 2]), np.array([1.0, 1])) == 0.5
    assert in_order(np.array([1.0, 1]), np.array([1.0, 2])) == 0.5

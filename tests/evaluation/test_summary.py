import numpy as np
import pytest

from evaluation.summary import METRICS, compare, summarise


@pytest.fixture
def lists():
    rng = np.random.default_rng(0)
    return np.stack([rng.permutation(300)[:100] for _ in range(80)]).astype(np.int32)


def test_a_summary_has_every_metric_with_its_interval(lists):
    targets = [row[[3, 40]] for row in lists]

    summary = summarise(lists, targets, 300)

    assert tuple(summary) == METRICS
    values = [summary[f"recall@{k}"]["value"] for k in (10, 20, 50, 100)]
    assert values == [0.5, 0.5, 1.0, 1.0]
    assert summary["mrr"]["value"] == pytest.approx(1 / 4)
    assert all(m["low"] <= m["value"] + 1e-9 <= m["high"] + 2e-9 for m in summary.values())


def test_recall_at_100_of_a_short_list_is_that_of_the_list(lists):
    targets = [row[[3]] for row in lists]

    summary = summarise(lists[:, :15], targets, 300)

    assert summary["recall@100"] == summary["recall@20"]


def test_a_system_compared_with_itself_has_no_difference(lists):
    targets = [row[[5]] for row in lists]

    differences = compare(lists, lists, targets)

    assert "coverage@10" not in differences
    assert all(m == {"value": 0, "low": 0, "high": 0} for m in differences.values())


def test_the_better_system_has_positive_differences(lists):
    targets = [row[[0]] for row in lists]

    differences = compare(lists, lists[:, ::-1], targets)

    assert differences["recall@10"] == {"value": 1, "low": 1, "high": 1}
    assert differences["mrr"]["low"] > 0.9


def test_metrics_of_several_trainings_are_their_means(lists):
    targets = [row[[0]] for row in lists]
    trained = np.stack([lists, lists[:, ::-1], lists])

    summary = summarise(trained, targets, 300)
    differences = compare(lists, trained, targets)

    assert summary["recall@10"] == pytest.approx({"value": 2 / 3, "low": 2 / 3, "high": 2 / 3})
    assert differences["recall@10"]["value"] == pytest.approx(1 / 3)
    one, other = (summarise(lists, targets, 300)["coverage@10"] for lists in trained[:2])
    assert summary["coverage@10"]["value"] == pytest.approx((2 * one["value"] + other["value"]) / 3)

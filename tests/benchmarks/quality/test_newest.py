from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from benchmarks.quality.newest_days import compare, cut, days_of
from dataset.arrays import TEST, TRAIN
from dataset.interaction_codes import DAY, MICROSECONDS
from lineage.stages import DATA
from towers.config import TowersConfig

START = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def dated(shop):
    """The shop; the n-th interaction of every user is on day 4 n."""
    days = np.tile(np.arange(7) * 4, shop.users)
    times = round(START.timestamp() * MICROSECONDS) + days * DAY * MICROSECONDS
    return replace(shop, times=times)


def test_tests_follow_one_another_and_the_newest_ends_the_data(dated):
    assert days_of(dated, 2, 5) == [START + timedelta(days=20), START + timedelta(days=15)]


def test_training_lacks_the_newest_days_and_the_refit_has_them(dated):
    day = START + timedelta(days=16)
    start = round(day.timestamp() * MICROSECONDS)

    without = cut(dated, day, newest=7, tested=6)
    learnt = without.for_refit()

    week = 7 * DAY * MICROSECONDS
    assert without.times[without.splits == TRAIN].max() < start - week
    assert start - week <= learnt.times[learnt.splits == TRAIN].max() < start
    tested = without.times[without.splits == TEST]
    assert tested.min() >= start
    assert tested.max() < start + 6 * DAY * MICROSECONDS
    assert without.popularity.sum() == 3 * dated.users
    assert learnt.popularity.sum() == 4 * dated.users


def test_both_trainings_answer_the_same_cases_with_complete_histories(dated):
    day = START + timedelta(days=16)

    without = cut(dated, day, newest=7, tested=6)

    cases, same = without.cases("test"), without.for_refit().cases("test")
    assert len(cases) == 2 * dated.users
    assert {len(history) for history in cases.histories} == {4, 5}
    for one, other in zip(cases.histories, same.histories, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("day", "name"), [(5, "training"), (40, "newest days")])
def test_a_cut_that_leaves_nothing_is_refused_by_name(dated, day, name):
    with pytest.raises(ValueError, match=f"{name} must hold an interaction at the cut 2024-"):
        cut(dated, START + timedelta(days=day), newest=7, tested=6)


def test_a_dataset_without_times_is_refused(dated):
    with pytest.raises(ValueError, match="must have times"):
        cut(replace(dated, timed=False), START, newest=7, tested=6)


def test_figures_are_of_each_test_and_of_all_together(dated, tmp_path, tiny_bert):
    from dataset.arrays import save_dataset
    from lineage.manifest import writing

    with writing(tmp_path / DATA, stage=DATA, config={}, inputs={}) as (folder, _):
        save_dataset(folder, dated)

    config = TowersConfig(backbone=str(tiny_bert))
    figures = compare(config, tmp_path, cuts=2, newest=7, tested=5, weight=0.5, towers=False)

    assert list(figures) == ["2024-01-21", "2024-01-16", "all"]
    systems = figures["all"]
    assert list(systems)[-1] == "item-knn: newest 7 days"
    for metric, difference in systems["item-knn: newest 7 days"].items():
        ours, theirs = (systems[f"item-knn, {name}"][metric] for name in ("learnt", "not learnt"))
        assert difference["value"] == pytest.approx(ours["value"] - theirs["value"])

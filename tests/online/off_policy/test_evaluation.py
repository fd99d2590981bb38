from dataclasses import replace

import numpy as np
import pytest

from benchmarks.online.unseen_rankings import explored
from benchmarks.online.world import made_world, ranked, scores
from online.exploration.plackett_luce import Exploration
from online.off_policy.attraction import item_rates
from online.off_policy.evaluation import evaluate, self_check
from online.off_policy.examination import OverlapError, examination
from online.off_policy.logged import Logged
from online.off_policy.weights import inverse_examination

WORLD = made_world(0, users=500)
SCORED = scores(WORLD, seed=1, shared=0.6, own=0.6)
BETTER = ranked(scores(WORLD, seed=2, shared=0.6, own=0.2))


@pytest.fixture(scope="module")
def log():
    """Explored answers, and the user of each."""
    return explored(WORLD, SCORED, Exploration(share=0.2), seed=0, answers=5_000)


def of_answers(ranking, rows):
    return np.take_along_axis(WORLD.items, ranking, axis=1)[rows]


@pytest.fixture(scope="module")
def told(log):
    """Estimates of the better ranking."""
    return evaluate(log[0], of_answers(BETTER, log[1]))


def some(logged, answers):
    fields = ("users", "items", "propensities", "rewards", "shares")
    return Logged(**{name: getattr(logged, name)[answers] for name in fields})


def test_an_unseen_rankings_value_is_within_every_interval(told):
    truth = WORLD.value(BETTER)
    for estimate in (told.ips, told.snips, told.doubly_robust):
        interval = estimate.interval()
        assert interval["low"] < truth < interval["high"]
        assert estimate.value == pytest.approx(truth, rel=0.1)
    assert told.logged.interval()["high"] < truth
    assert told.covered == pytest.approx(1, abs=0.05)
    assert 200 < told.effective_users < 500


def test_the_position_bias_is_found_without_knowing_the_items(log):
    logged, _ = log

    np.testing.assert_allclose(examination(logged), WORLD.examination, rtol=0.3)


def test_answers_that_were_left_alone_change_neither_curve_nor_check(log):
    logged, _ = log
    alone = logged.kept.all(axis=1)
    mixed = replace(
        logged,
        shares=np.where(alone, 0.0, logged.shares),
        propensities=np.where(alone[:, None], 1.0, logged.propensities),
        rewards=np.where(alone[:, None], np.arange(10, 0, -1) / 10, logged.rewards),
    )

    np.testing.assert_allclose(examination(mixed), examination(some(logged, ~alone)), rtol=1e-3)
    assert inverse_examination(mixed, np.ones(10))[alone] == pytest.approx(1)


def test_the_value_of_the_own_list_is_recovered(log):
    checked = self_check(log[0])

    assert checked.passed
    for estimate in (checked.estimated, checked.observed):
        interval = estimate.interval()
        assert interval["low"] < WORLD.value(ranked(SCORED)) < interval["high"]


def test_lost_feedback_fails_the_self_check_and_is_refused(log):
    logged, rows = log
    drawn = ~logged.kept.all(axis=1)
    lost = drawn & (np.random.default_rng(0).random(len(rows)) < 0.9)
    partial = replace(logged, rewards=np.where(lost[:, None], 0.0, logged.rewards))

    assert not self_check(partial).passed
    with pytest.raises(OverlapError, match="the answers must tell the reward of their own list"):
        evaluate(partial, of_answers(BETTER, rows))


def test_a_ranking_of_other_items_is_refused_with_what_is_missing(log):
    logged, rows = log
    other = of_answers(BETTER, rows)
    other[:, ::2] += 1000

    with pytest.raises(OverlapError, match=r"must cover 90% of the ranking .* got 4\d% and"):
        evaluate(logged, other)


def test_few_users_are_refused(log):
    logged, rows = log
    few = rows < 150

    with pytest.raises(OverlapError, match="weigh as much as 200 users"):
        evaluate(some(logged, few), of_answers(BETTER, rows[few]))


def test_answers_without_exploration_are_refused(log):
    logged, rows = log
    plain = replace(logged, propensities=np.ones(logged.items.shape), shares=np.zeros(len(rows)))

    with pytest.raises(OverlapError, match="answers must have explored places, got none"):
        evaluate(plain, of_answers(BETTER, rows))


def test_a_place_without_clicks_is_named(log):
    logged, rows = log
    rewards = logged.rewards.copy()
    rewards[:, 6] = 0

    with pytest.raises(OverlapError, match="place 7 must have clicks, got none"):
        evaluate(replace(logged, rewards=rewards), of_answers(BETTER, rows))


def test_the_rates_of_items_come_from_other_users(log):
    logged, rows = log
    mine = logged.users == rows[0]
    curve = examination(logged)
    ranking = of_answers(BETTER, rows)

    changed = replace(logged, rewards=np.where(mine[:, None], 1.0, logged.rewards))

    np.testing.assert_array_equal(
        item_rates(logged, ranking, curve)[mine], item_rates(changed, ranking, curve)[mine]
    )


def test_a_doubly_robust_estimate_is_right_with_wrong_rates(log):
    logged, rows = log

    told = evaluate(logged, of_answers(BETTER, rows), rates=np.full((len(rows), 10), 0.5))

    interval = told.doubly_robust.interval()
    assert interval["low"] < WORLD.value(BETTER) < interval["high"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("propensities", np.ones((2, 2)), "propensities must have the shape"),
        ("propensities", np.full((2, 3), np.nan), "propensities must be above 0 and at most 1"),
        ("users", np.arange(3), "users must have the shape"),
        ("shares", np.full(2, 0.7), "shares must be at least 0 and below 0.5, got 0.7"),
    ],
)
def test_answers_that_do_not_fit_are_refused(name, value, message):
    fields = {
        "users": np.arange(2),
        "items": np.arange(6).reshape(2, 3),
        "propensities": np.full((2, 3), 0.9),
        "rewards": np.zeros((2, 3)),
        "shares": np.full(2, 0.1),
    }

    with pytest.raises(ValueError, match=message):
        Logged(**{**fields, name: value})

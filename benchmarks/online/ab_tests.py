"""Simulated A/B tests: coverage of intervals, and false alarms of looking every day."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from tqdm import tqdm

from benchmarks.online.world import PLACES, Rows, World
from evaluation.intervals import Interval
from online.estimate import Estimate, Values, difference, linearised, mean
from online.experiments.always_valid import always_valid, multiplier
from online.experiments.assignment import arm_of
from online.experiments.cuped import cuped
from online.experiments.experiment import Arm, Experiment
from online.experiments.sample_ratio import SampleRatioError, check_sample_ratio

DAYS_BEFORE = 28
"""Days before an experiment whose clicks CUPED uses"""
LOOKS = ("always valid", "fixed", "one look")
BOUGHT = 0.2
"""Share of the clicks that end in a purchase"""


def coverage(
    world: World, rankings: tuple[Rows, Rows], *, seeds: range, users: int, days: int
) -> Mapping[str, NDArray[np.float64]]:
    """Repeat an A/B test, and compare its 95% intervals with the truth.

    Args:
        world: Users are drawn from it with replacement, so that its means are the truth.
        rankings: Rankings of the control and of the treatment.
        seeds: One test each.
        users: Users of each test, with and without answers.
        days: Length of each test.

    Returns:
        For each figure (seeds, 3): whether the truth is covered, width of the interval, and whether
        the interval excludes 0. `sample ratio` (seeds, 1): whether an alarm was given.
    """
    truths = _truths(world, rankings, days)
    found: dict[str, list[list[float]]] = {name: [] for name in (*truths, "sample ratio")}
    for seed in tqdm(seeds, desc="A/B tests"):
        intervals, alarm = _one_test(world, rankings, seed=seed, users=users, days=days)
        for name, interval in intervals.items():
            low, high = interval["low"], interval["high"]
            found[name].append([low <= truths[name] <= high, high - low, low > 0 or high < 0])
        found["sample ratio"].append([alarm])
    return {name: np.array(rows, np.float64) for name, rows in found.items()}


def daily_looks(
    world: World, rankings: tuple[Rows, Rows], *, seeds: range, users: int, days: int
) -> Mapping[str, NDArray[np.int64]]:
    """Repeat an A/B test that is looked at every day.

    Returns:
        For `always valid` and `fixed` intervals, and `one look` at a fixed one on the last day
        (seeds,): the first day on which an interval excluded 0; 0 for none.
    """
    chances = [world.clicks(ranking).mean(axis=1) for ranking in rankings]
    first = {name: np.zeros(len(seeds), np.int64) for name in LOOKS}
    for n, seed in enumerate(tqdm(seeds, desc="daily looks")):
        rng = np.random.default_rng([2, seed])
        rows = rng.integers(len(world), size=users)
        arms = rng.integers(2, size=users)
        shown = PLACES * rng.poisson(world.answers_a_day[rows, None], (users, days)).cumsum(axis=1)
        clicked = np.where(arms, chances[1][rows], chances[0][rows])[:, None]
        clicks = rng.binomial(np.diff(shown, axis=1, prepend=0), clicked).cumsum(axis=1)
        for day in range(days):
            gain = _gain(clicks[:, day].astype(float), shown[:, day].astype(float), arms)
            fixed = gain.interval()
            looks = {"always valid": always_valid(gain, users), "fixed": fixed}
            if day == days - 1:
                looks["one look"] = fixed
            for name, look in looks.items():
                if not first[name][n] and not look["low"] <= 0 <= look["high"]:
                    first[name][n] = day + 1
    return first


def widths(users: int, days: int) -> Mapping[str, Mapping[str, float]]:
    """Half-widths in standard errors at shares of the planned users, beside other intervals."""
    return {
        f"{progress:.0%}": {
            "one look": float(norm.isf(0.025)),
            "always valid": multiplier(progress),
            "Bonferroni, daily": float(norm.isf(0.025 / days)),
            "stitched": 1.7
            * math.sqrt(
                math.log(math.log(2 * progress * users)) + 0.72 * math.log(5.2 / 0.025)
            ),  # Howard, Ramdas, McAuliffe and Sekhon, Annals of Statistics 2021, equation 2
        }
        for progress in (0.1, 0.25, 0.5, 1.0, 2.0)
    }


def totals(
    world: World, ranking: Rows, rows: Rows, days: int, rng: np.random.Generator
) -> tuple[Values, Values]:
    """Answers and clicks of users within some days.

    Args:
        world: The world.
        ranking: (users of the world, places) the ranking.
        rows: (users,) rows of the users in the world.
        days: The days.
        rng: Draws.
    """
    answers = rng.poisson(world.answers_a_day[rows] * days)
    clicks = rng.binomial(answers[:, None], world.clicks(ranking)[rows]).sum(axis=1)
    return answers.astype(np.float64), clicks.astype(np.float64)


def _one_test(
    world: World, rankings: tuple[Rows, Rows], *, seed: int, users: int, days: int
) -> tuple[Mapping[str, Interval], bool]:
    """Intervals of the differences by figure, and whether the sample ratio gave an alarm."""
    rng = np.random.default_rng([1, seed])
    test = Experiment(
        name=f"test-{seed}", arms=[Arm(name="control"), Arm(name="new")], state="running"
    )
    arms = np.array([arm_of(test, f"user {n}") is test.arms[1] for n in range(users)])
    everyone = rng.integers(len(world), size=users)
    rates, before, bought = [], [], []
    for arm, ranking in enumerate(rankings):
        rows = everyone[arms == arm]
        answers, clicks = totals(world, ranking, rows, days, rng)
        earlier, earlier_clicks = totals(world, rankings[0], rows, DAYS_BEFORE, rng)
        came = answers > 0
        rates.append(linearised(clicks[came], PLACES * answers[came]))
        before.append(linearised(earlier_clicks[came], PLACES * earlier[came]))
        bought.append(rng.binomial(clicks[came].astype(int), BOUGHT).astype(float))
    adjusted = cuped(rates, before)
    try:
        counts = {"control": len(rates[0]), "new": len(rates[1])}
        check_sample_ratio(counts, {"control": 1, "new": 1})
        alarm = False
    except SampleRatioError:
        alarm = True
    figures = {"CTR": rates, "CTR, CUPED": adjusted, "purchases a user": bought}
    return {
        name: difference(mean(new), mean(control)).interval()
        for name, (control, new) in figures.items()
    }, alarm


def _truths(world: World, rankings: tuple[Rows, Rows], days: int) -> Mapping[str, float]:
    gain = world.value(rankings[1]) - world.value(rankings[0])
    came = 1 - np.exp(-world.answers_a_day * days)
    answers = world.answers_a_day.sum() * days / came.sum()
    return {
        "CTR": gain / PLACES,
        "CTR, CUPED": gain / PLACES,
        "purchases a user": gain * BOUGHT * answers,
    }


def _gain(clicks: Values, shown: Values, arms: Rows) -> Estimate:
    """Difference of the click-through rates of users who came."""
    came = shown > 0
    control, new = (
        mean(linearised(clicks[of_arm], shown[of_arm]))
        for of_arm in (came & (arms == arm) for arm in range(2))
    )
    return difference(new, control)

"""Simulated interleaving beside A/B tests: users needed for the same decision."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from tqdm import tqdm

from benchmarks.online.ab_tests import totals
from benchmarks.online.world import PLACES, Rows, World, ranked
from online.estimate import Estimate, Values, difference, linearised, mean
from online.experiments.interleaving import draft, preference
from online.experiments.power import POWER, users_needed

DRAFTS = 8
"""Different drafts of each user; an answer shows one of them"""
PILOT = 30_000
"""Users of the test from which the needed users are computed"""
DEEP = 3
"""Lists of a draft are so many times as long as the answer"""


@dataclass(frozen=True, kw_only=True)
class Drafts:
    """Answers that two rankers drafted for each user of a world."""

    ranking: Rows
    """(users, drafts, places) positions in the shortlists"""
    teams: NDArray[np.int8]
    """(users, drafts, places) `Team` of each"""


def drafts(world: World, scored: tuple[Values, Values], *, seed: int) -> Drafts:
    """Draft answers of two rankers' scores."""
    rng = np.random.default_rng([3, seed])
    lists = [ranked(scores, DEEP * PLACES).tolist() for scores in scored]
    shape = (len(world), DRAFTS, PLACES)
    ranking, teams = np.empty(shape, np.int64), np.empty(shape, np.int8)
    for user in tqdm(range(len(world)), desc="drafts"):
        for n in range(DRAFTS):
            drafted = draft(lists[0][user], lists[1][user], PLACES, rng)
            ranking[user, n], teams[user, n] = drafted.items, drafted.teams
    return Drafts(ranking=ranking, teams=teams)


def needed(
    world: World, scored: tuple[Values, Values], drafted: Drafts, *, seeds: range, days: int
) -> Mapping[str, float]:
    """Users that an A/B test and interleaving need for power .8, and what they reach with them.

    Args:
        world: The world.
        scored: Scores of both rankers.
        drafted: Their drafts.
        seeds: Tests of each kind that check the power.
        days: Length of a test.
    """
    rankings = ranked(scored[0]), ranked(scored[1])
    rng = np.random.default_rng([4, 0])
    effect = world.value(rankings[1]) - world.value(rankings[0])
    rows = rng.integers(len(world), size=PILOT)
    answers, clicks = totals(world, rankings[0], rows, days, rng)
    came = answers > 0
    deviation = float(linearised(clicks[came], PLACES * answers[came]).std())
    of_ab = users_needed(effect / PLACES, deviation)
    pilot = interleaved(world, drafted, PILOT, days, rng)
    distance = norm.ppf(POWER) + norm.isf(0.025)
    of_draft = int(pilot.users * (distance * pilot.standard_error / pilot.value) ** 2) + 1
    share = came.mean()
    right: dict[str, list[bool]] = {
        "A/B": [],
        "interleaving": [],
        "interleaving, no difference": [],
    }
    for seed in tqdm(seeds, desc="interleaving"):
        rng = np.random.default_rng([5, seed])
        tests = {
            "A/B": split(world, rankings, int(of_ab / share), days, rng),
            "interleaving": interleaved(world, drafted, int(of_draft / share), days, rng),
            "interleaving, no difference": interleaved(
                world, drafted, int(of_draft / share), days, rng, exchanged=True
            ),
        }
        for name, test in tests.items():
            interval = test.interval()
            null = name.endswith("no difference")
            right[name].append(interval["low"] > 0 or (null and interval["high"] < 0))
    return {
        "lift": effect / world.value(rankings[0]),
        "A/B users": of_ab,
        "interleaving users": of_draft,
        "ratio": of_draft / of_ab,
        "A/B power": float(np.mean(right["A/B"])),
        "interleaving power": float(np.mean(right["interleaving"])),
        "interleaving false alarms": float(np.mean(right["interleaving, no difference"])),
    }


def split(
    world: World, rankings: tuple[Rows, Rows], users: int, days: int, rng: np.random.Generator
) -> Estimate:
    """Gain in click-through rate of one A/B test."""
    rates = []
    for ranking in rankings:
        rows = rng.integers(len(world), size=users // 2)
        answers, clicks = totals(world, ranking, rows, days, rng)
        rates.append(mean(linearised(clicks, PLACES * answers)))
    return difference(rates[1], rates[0])


def interleaved(
    world: World,
    drafted: Drafts,
    users: int,
    days: int,
    rng: np.random.Generator,
    *,
    exchanged: bool = False,
) -> Estimate:
    """Preference for the second ranker in one interleaved test.

    Args:
        world: The world.
        drafted: Drafts of its users.
        users: Users of the test, with and without answers.
        days: Length of the test.
        rng: Draws.
        exchanged: Exchange the rankers for half of the users, so that there is no difference.
    """
    rows = rng.integers(len(world), size=users)
    of_answer = np.repeat(np.arange(users), rng.poisson(world.answers_a_day[rows] * days))
    shown = rows[of_answer], rng.integers(DRAFTS, size=len(of_answer))
    chances = world.attraction[shown[0][:, None], drafted.ranking[shown]] * world.examination
    clicks = (rng.random(chances.shape) < chances).astype(np.float64)
    teams = drafted.teams[shown]
    if exchanged:
        other = rng.integers(2, size=users)[of_answer, None] * (teams > 0)
        teams = np.where(other, 3 - teams, teams)
    return preference(of_answer, teams, clicks)

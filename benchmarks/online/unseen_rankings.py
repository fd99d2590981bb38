"""Simulated off-policy estimates of a ranking that no user has seen."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.online.world import PLACES, Rows, World, ranked
from online.estimate import Values
from online.exploration.plackett_luce import Exploration, explore
from online.off_policy.evaluation import OffPolicy, evaluate
from online.off_policy.examination import OverlapError
from online.off_policy.logged import Logged

ESTIMATES = ("ips", "snips", "doubly_robust")


def repeated(
    world: World,
    scored: Values,
    unseen: Rows,
    exploration: Exploration,
    *,
    seeds: range,
    answers: int,
) -> tuple[Mapping[str, NDArray[np.float64]], int]:
    """Log explored answers of one ranker, and estimate the value of another one.

    Args:
        world: The world.
        scored: (users, candidates) scores of the logged ranker.
        unseen: (users, places) the other ranking.
        exploration: How the logged ranker's answers are explored.
        seeds: One log each.
        answers: Answers of a log.

    Returns:
        For each estimator (logs, 3): error relative to the truth, whether the 95% interval covers
        the truth, and the interval's width relative to the truth. `log` (logs, 3): reward of the
        log relative to the truth, minus 1, effective users, and share covered. And the number of
        logs that were refused, which are not among the others.
    """
    truth, refused = world.value(unseen), 0
    found: dict[str, list[list[float]]] = {name: [] for name in (*ESTIMATES, "log")}
    for seed in tqdm(seeds, desc="off-policy"):
        logged, rows = explored(world, scored, exploration, seed=seed, answers=answers)
        try:
            told = evaluate(logged, np.take_along_axis(world.items, unseen, axis=1)[rows])
        except OverlapError:
            refused += 1
            continue
        for name in ESTIMATES:
            found[name].append(_judged(told, name, truth))
        found["log"].append([told.logged.value / truth - 1, told.effective_users, told.covered])
    return {name: np.array(rows) for name, rows in found.items()}, refused


def explored(
    world: World, scored: Values, exploration: Exploration, *, seed: int, answers: int
) -> tuple[Logged, Rows]:
    """Explored answers with their clicks, and the world's row of each answer's user.

    As many users as the world has are drawn with replacement, so that errors are those of a sample.
    """
    rng = np.random.default_rng([6, seed])
    order = ranked(scored, scored.shape[1])
    sorted_scores = np.take_along_axis(scored, order, axis=1)
    people = rng.integers(len(world), size=len(world))
    busy = world.answers_a_day[people]
    users = rng.choice(len(people), size=answers, p=busy / busy.sum())
    rows = people[users]
    drawn = [explore(sorted_scores[row], PLACES, exploration, rng) for row in rows]
    shown = np.take_along_axis(order[rows], np.stack([each.positions for each in drawn]), axis=1)
    chances = np.take_along_axis(world.attraction[rows], shown, axis=1) * world.examination
    return Logged(
        users=users,
        items=np.take_along_axis(world.items[rows], shown, axis=1),
        propensities=np.stack([each.propensities for each in drawn]),
        rewards=_clicks(chances, world.ends, rng),
        shares=np.full(answers, exploration.share),
    ), rows


def _clicks(chances: Values, ends: float, rng: np.random.Generator) -> Values:
    """Clicks by place, of visits that a click may end."""
    clicks = rng.random(chances.shape) < chances
    if ends:
        ended = np.cumsum(clicks & (rng.random(chances.shape) < ends), axis=1)
        clicks[:, 1:] &= ended[:, :-1] == 0
    return clicks.astype(np.float64)


def _judged(told: OffPolicy, name: str, truth: float) -> list[float]:
    estimate = getattr(told, name)
    interval = estimate.interval()
    covers = interval["low"] <= truth <= interval["high"]
    return [estimate.value / truth - 1, covers, (interval["high"] - interval["low"]) / truth]

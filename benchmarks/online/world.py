"""A shop whose truth is known: shoppers with personal tastes who click by place and by taste."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from online.estimate import Values

Rows = NDArray[np.int64]
PLACES = 10


@dataclass(frozen=True, kw_only=True)
class World:
    """Shoppers, their shortlists, and what makes them click."""

    attraction: Values
    """(users, candidates) probability of a click on an item of the user's shortlist that the user
    examines"""
    items: Rows
    """(users, candidates) the items of the shortlists"""
    examination: Values
    """(places,) probability that a place is examined"""
    answers_a_day: Values
    """(users,) expected answers; who comes more often clicks more"""
    ends: float = 0.0
    """Probability that a click ends the visit, unknown to the position-based click model"""

    def __len__(self) -> int:
        return len(self.attraction)

    def clicks(self, ranking: Rows) -> Values:
        """(users, places) probability of a click at each place of a ranking.

        Args:
            ranking: (users, places) positions in the shortlists.
        """
        alone: Values = np.take_along_axis(self.attraction, ranking, axis=1) * self.examination
        stays = np.cumprod(1 - self.ends * alone, axis=1)
        return alone * np.hstack([np.ones((len(alone), 1)), stays[:, :-1]])

    def value(self, ranking: Rows) -> float:
        """True clicks an answer of a ranking, over answers."""
        return float(np.average(self.clicks(ranking).sum(axis=1), weights=self.answers_a_day))


def made_world(seed: int, *, users: int = 2000, candidates: int = 60, items: int = 300) -> World:
    """A world of the stated size, with ten places and an examination of 1 / place^0.7."""
    rng = np.random.default_rng(seed)
    eager = rng.normal(size=users)
    taste, kinds = rng.normal(size=(users, 6)), rng.normal(size=(items, 6))
    logits = -4.3 + 0.6 * eager[:, None] + 0.45 * taste @ kinds.T + 0.4 * rng.normal(size=items)
    recalled = logits + rng.normal(scale=1.5, size=logits.shape)
    shortlists = np.argsort(-recalled, axis=1)[:, :candidates]
    attraction = 1 / (1 + np.exp(-np.take_along_axis(logits, shortlists, axis=1)))
    return World(
        attraction=attraction,
        items=shortlists,
        examination=np.arange(1.0, PLACES + 1) ** -0.7,
        answers_a_day=np.exp(-1.2 + 0.3 * eager + 0.5 * rng.normal(size=users)),
    )


def scores(world: World, *, seed: int, shared: float, own: float) -> Values:
    """(users, candidates) scores of a ranker: the tastes, with errors.

    Args:
        world: The world.
        seed: Seed of the ranker's own errors.
        shared: Deviation of errors that all rankers of the world have in common, in logits.
        own: Deviation of its own errors, in logits.
    """
    shape = world.attraction.shape
    common = np.random.default_rng(0).normal(scale=shared, size=shape)
    errors = np.random.default_rng([1, seed]).normal(scale=own, size=shape)
    scored: Values = np.log(world.attraction / (1 - world.attraction)) + common + errors
    return scored


def ranked(scored: Values, places: int = PLACES) -> Rows:
    """(users, places) positions of the best candidates, best first."""
    return np.argsort(-scored, axis=1, kind="stable")[:, :places]

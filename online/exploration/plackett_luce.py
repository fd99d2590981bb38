"""Draws items for a share of an answer's places, with the probability of each."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from online.estimate import Values

LOWEST_LOGIT = -50.0
"""Logit below the best item's at which all worse ones are drawn alike, so that none becomes
impossible"""


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """How much of an answer is explored, and how."""

    share: float = 0.0
    """Share of the places that are explored, at least 0 and below 0.5."""
    temperature: float = 1.0
    """Divides the scores before items are drawn: higher is closer to uniform."""
    new_share: float = 0.0
    """Share of the explored places that go to new items alone, 0 to 1."""

    def __post_init__(self) -> None:
        if not 0 <= self.share < 0.5:
            raise ValueError(f"share must be at least 0 and below 0.5, got {self.share}")
        if not 0 < self.temperature < float("inf"):
            raise ValueError(f"temperature must be positive, got {self.temperature}")
        if not 0 <= self.new_share <= 1:
            raise ValueError(f"new_share must be 0 to 1, got {self.new_share}")


@dataclass(frozen=True, kw_only=True)
class Explored:
    """The places of an answer."""

    positions: NDArray[np.int64]
    """(length,) position of each shown item in the list that was given"""
    propensities: Values
    """(length,) probability that the policy shows this item at this place, given the places above.
    More than 0.5 where the place was left to the list"""


def explore(
    scores: Values,
    length: int,
    exploration: Exploration,
    rng: np.random.Generator,
    *,
    new: NDArray[np.bool_] | None = None,
) -> Explored:
    """Choose the items of an answer, and explore a share of its places.

    Each place is explored with probability `share`, whatever the others are. Then it gets an item
    that the list would not have shown, drawn by Plackett-Luce over the scores, without replacement:
    one after another, which is what Gumbel top-k draws at once (Kool et al., ICML 2019). The other
    places show the list in its order, so that the list's last items make room. So which place an
    item gets tells nothing about it: off-policy estimates and the position bias rest on that.

    Filters hold, because only items of the list are shown. A list that is shorter than twice the
    answer is not explored: all propensities are 1.

    Args:
        scores: (items,) score of each item, in the order in which the list would show them.
        length: Places of the answer.
        exploration: Share, temperature and the new items' share.
        rng: Draws.
        new: (items,) which items are new. In an explored place the new items are drawn from alone
            with probability `new_share`, so they get `share × new_share` of the places at most,
            besides those that they earn.

    Raises:
        ValueError: a score is not finite.
    """
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite")
    if not exploration.share or len(scores) < 2 * length:
        places = min(length, len(scores))
        return Explored(positions=np.arange(places), propensities=np.ones(places))
    explored = rng.random(length) < exploration.share
    positions, propensities = np.empty(length, np.int64), np.empty(length)
    positions[~explored] = np.arange(length - explored.sum())
    propensities[~explored] = 1 - exploration.share
    logits = (scores[length:] - scores[length:].max()) / exploration.temperature
    left = np.exp(np.maximum(logits, LOWEST_LOGIT))
    left_new = left * new[length:] if new is not None and exploration.new_share else None
    for place in np.flatnonzero(explored):
        item, chance = _drawn(left, left_new, exploration.new_share, rng)
        positions[place], propensities[place] = length + item, exploration.share * chance
    return Explored(positions=positions, propensities=propensities)


def _drawn(
    left: Values, left_new: Values | None, new_share: float, rng: np.random.Generator
) -> tuple[int, float]:
    """Draw an item and take it out; returns it and its probability.

    Args:
        left: (items,) weights, 0 for items that were drawn before.
        left_new: (items,) the same, 0 for items that are not new; None without new items.
        new_share: Probability of drawing from the new items alone, if there are any left.
        rng: Draws.
    """
    if left_new is None or not left_new.any():
        left_new, new_share = left, 0.0
    cumulative = np.cumsum(left_new if rng.random() < new_share else left)
    item = int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))
    chance = new_share * left_new[item] / left_new.sum() + (1 - new_share) * left[item] / left.sum()
    left[item] = left_new[item] = 0.0
    return item, float(chance)

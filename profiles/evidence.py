"""Evidence for the values of one attribute: shares of the history and of the shortlist."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HALF_LIVES = (1_000.0, 14.0)
"""Interactions after which one counts half, for each share of the history"""
TEMPERATURES = (1.0,)
"""What divides the logits of the shortlist, for each share of the shortlist"""
NAMES = (
    *(f"history, half-life {half:g}" for half in HALF_LIVES),
    *(f"shortlist, temperature {temperature:g}" for temperature in TEMPERATURES),
    "popularity",
    "popularity of late",
    "popularity of what is left",
    "what follows the history",
)
"""Names of the kinds of evidence, in their order"""
PLAIN = 0
"""Kind of evidence that counts without learning: the history, every interaction alike"""
USUAL = 60
"""Most popular values that are always candidates"""
PRIOR = 1.0
"""Interactions that the popularity of the values counts in a share of the history"""
UNLISTED = 0.02
"""Share of the popularity in a share of the shortlist"""


@dataclass(frozen=True, kw_only=True)
class Items:
    """Weighted items, by the values that they have of one attribute."""

    places: NDArray[np.int64]
    """(pairs,) positions of the items, ascending"""
    numbers: NDArray[np.int64]
    """(pairs,) numbers of the items' values"""
    weights: NDArray[np.float64]
    """(kinds, items) weights of the items, of each kind of evidence"""


@dataclass(frozen=True, kw_only=True)
class Popularity:
    """Shares of the values of one attribute in purchases of items that have any, each (values,)."""

    always: NDArray[np.float64]
    """In all purchases"""
    of_late: NDArray[np.float64]
    """In those of the last weeks; like `always` where interactions have no times"""
    left: NDArray[np.float64]
    """In purchases of the items that may come next"""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Shares of the candidate values, one row for each kind of evidence."""

    numbers: NDArray[np.int64]
    """(candidates,) numbers of the values, ascending"""
    shares: NDArray[np.float64]
    """(kinds, candidates) or, with the rest, (kinds, candidates + 1); within (0, 1)"""
    rest: bool
    """Whether the last column is of all other values together"""


def evidence(
    history: Items,
    shortlist: Items,
    popularity: Popularity,
    following: NDArray[np.float64] | None = None,
    *,
    several: bool,
) -> Evidence:
    """Evidence for the values of a history, of a shortlist and for the most popular ones.

    Args:
        history: Items of the history, with weights by `history_weights`.
        shortlist: Items of the shortlist, with weights by `shortlist_weights`.
        popularity: Popularity of the values.
        following: (values,) what `profiles.following` predicts; None where nothing is learnt.
        several: Whether an item may have several values; then no column is of the rest.
    """
    usual = np.argsort(-popularity.always, kind="stable")[:USUAL]
    numbers = np.unique(np.concatenate([history.numbers, shortlist.numbers, usual]))
    after = popularity.always if following is None else following
    if following is not None and not several:
        after = following / following.sum()
    popular = np.stack([popularity.always, popularity.of_late, popularity.left, after])
    popular = popular[:, numbers]
    prior = popular[:1]
    of_history, sums = _counted(history, numbers)
    of_history = (of_history + PRIOR * prior) / (sums + PRIOR)
    of_list, sums = _counted(shortlist, numbers)
    listed = np.where(sums > 0, 1 - UNLISTED, 0)
    of_list = listed * of_list / np.maximum(sums, 1e-12) + (1 - listed) * prior
    shares = np.concatenate([of_history, of_list, popular])
    rest = not several and len(numbers) < len(popularity.always)
    if rest:
        shares = np.concatenate([shares, 1 - shares.sum(axis=1, keepdims=True)], axis=1)
    return Evidence(numbers=numbers, shares=np.clip(shares, 1e-6, 1 - 1e-6), rest=rest)


def history_weights(actions: NDArray[np.floating]) -> NDArray[np.float64]:
    """(half-lives, history): weights of a history's interactions, oldest first.

    Args:
        actions: (history,) weights of the actions.
    """
    age = np.arange(len(actions))[::-1]
    weights: NDArray[np.float64] = actions * 0.5 ** (age / np.array(HALF_LIVES)[:, None])
    return weights


def shortlist_weights(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """(temperatures, items): softmax of a shortlist's logits at each temperature."""
    if not len(scores):
        return np.empty((len(TEMPERATURES), 0))
    logits = scores.astype(np.float64) - scores.max()
    weights: NDArray[np.float64] = np.exp(logits / np.array(TEMPERATURES)[:, None])
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def _counted(
    items: Items, numbers: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(kinds, candidates) weight of each value, and (kinds, 1) weight of items with any value."""
    columns = np.searchsorted(numbers, items.numbers)
    counted = np.zeros((len(items.weights), len(numbers)))
    for kind, weights in enumerate(items.weights):
        counted[kind] = np.bincount(columns, weights[items.places], minlength=len(numbers))
    having = np.unique(items.places)
    sums: NDArray[np.float64] = items.weights[:, having].sum(axis=1, keepdims=True)
    return counted, sums

"""What a ranking would have earned in place of the logged answers, or why that cannot be told.

Errors:
    ValueError
        OverlapError: the logged answers do not say enough about the ranking.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from online.estimate import Estimate, Values
from online.off_policy.attraction import item_rates
from online.off_policy.examination import OverlapError, examination
from online.off_policy.logged import NO_ITEM, Logged, Rows, folds
from online.off_policy.weights import inverse_examination, places_in, weights

Mask = NDArray[np.bool_]
GROUPS = 40
"""Groups of users of the jackknife"""
LEAST_USERS = 200
"""Effective users below which there is no answer"""
LEAST_COVERED = 0.9
"""Share of the ranking's examination that the answers must cover"""
CERTAIN = 0.999
"""Level at which the self-check must fail to refuse"""


@dataclass(frozen=True, kw_only=True)
class OffPolicy:
    """Estimates of a ranking's reward an answer."""

    ips: Estimate
    """Inverse propensity scoring: unbiased, widest"""
    snips: Estimate
    """Self-normalised: Swaminathan and Joachims, NeurIPS 2015"""
    doubly_robust: Estimate
    """Dudík, Langford and Li, ICML 2011"""
    logged: Estimate
    """The logged answers' own reward, exploration included"""
    effective_users: float
    """Users of equal weight who would say as much (Kish, 1965)"""
    covered: float
    """Share of the ranking's examination that was covered; 1 on average where every item of the
    ranking could be shown"""
    curve: Values
    """(places,) examination of each place, relative to the first"""


@dataclass(frozen=True)
class SelfCheck:
    """The reward of the logged policy's own list, told in two ways."""

    estimated: Estimate
    """By weights, as for any ranking"""
    observed: Estimate
    """Of the places that have nothing explored at or above them; needs no click model"""
    difference: Estimate

    @property
    def passed(self) -> bool:
        """Whether the difference may be chance."""
        return self.difference.p_value >= 1 - CERTAIN


def evaluate(logged: Logged, ranking: Rows, *, rates: Values | None = None) -> OffPolicy:
    """Estimate the reward of an unseen ranking from explored answers.

    Intervals rest on a jackknife over groups of users, which fits the position bias anew each time:
    its error is in them.

    Args:
        logged: The answers.
        ranking: (answers, places) items that the ranking would have shown, -1 for no item.
        rates: (answers, places) expected reward of each of these items if it is examined, of a
            model that has not learnt from these answers; by default the items' smoothed rates.

    Raises:
        OverlapError: too little of the ranking was explored, or the self-check fails.
        ValueError: the shapes differ.
    """
    if ranking.shape != logged.items.shape:
        raise ValueError(f"ranking must have the shape {logged.items.shape}, got {ranking.shape}")
    curve, places = examination(logged), places_in(ranking, logged.items)
    told = weights(places, curve, inverse_examination(logged, curve)) * curve
    covered = float(told.sum() / _asked(ranking, curve).sum())
    effective = _effective(_by_user(logged, told.sum(axis=1)))
    if covered < LEAST_COVERED or effective < LEAST_USERS:
        raise OverlapError(
            f"the answers must cover {LEAST_COVERED:.0%} of the ranking and weigh as much as "
            f"{LEAST_USERS} users, got {covered:.0%} and {effective:.0f}: explore a larger share "
            "or longer, or evaluate a ranking of the same shortlists"
        )
    model = item_rates(logged, ranking, curve) if rates is None else rates
    candidate = _Candidate(ranking=ranking, places=places, rates=model)

    def figures(answers: Mask, curve: Values, inverse: Values) -> Values:
        weight = weights(places, curve, inverse)
        estimates = _estimates(logged, candidate, answers, curve, weight)
        return np.concatenate([estimates, _own_list(logged, answers, curve, inverse)])

    own, ips, snips, robust, *told_twice = _jackknife(logged, figures)
    checked = SelfCheck(*told_twice)
    if not checked.passed:
        raise OverlapError(
            f"the answers must tell the reward of their own list, {checked.observed.value:.4g}, "
            f"got {checked.estimated.value:.4g}; look for lost feedback, wrong propensities, or "
            "answers of several placements"
        )
    return OffPolicy(
        ips=ips,
        snips=snips,
        doubly_robust=robust,
        logged=own,
        effective_users=effective,
        covered=covered,
        curve=curve,
    )


def self_check(logged: Logged) -> SelfCheck:
    """Compare two estimates of the reward of the logged policy's own list, without exploration.

    Raises:
        OverlapError: a place has no clicks, nothing was explored, or no place was left to the list.
    """
    if not logged.kept[:, 0].any():
        raise OverlapError(
            "answers must leave places to the list, got none; explore a smaller share"
        )
    return SelfCheck(*_jackknife(logged, lambda *given: _own_list(logged, *given)))


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    ranking: Rows
    places: Rows
    """(answers, places) `places_in` of the ranking"""
    rates: Values


def _estimates(
    logged: Logged, candidate: _Candidate, answers: Mask, curve: Values, weight: Values
) -> Values:
    """Reward of the logged answers, IPS, SNIPS and doubly robust estimate, an answer."""
    asked, rates = _asked(candidate.ranking, curve), candidate.rates
    predicted = curve * np.take_along_axis(rates, np.maximum(candidate.places, 0), axis=1)
    own, ips, told, wanted, direct, corrected = (
        each[answers].sum()
        for each in (
            logged.rewards,
            weight * logged.rewards,
            weight * curve,
            asked,
            asked * rates,
            weight * (logged.rewards - predicted),
        )
    )
    sums: Values = np.array([own, ips, ips / told * wanted, direct + corrected])
    return sums / float(answers.sum())


def _asked(ranking: Rows, curve: Values) -> Values:
    """(answers, places) examination of each place of a ranking that has an item."""
    return np.where(ranking != NO_ITEM, curve, 0.0)


def _own_list(logged: Logged, answers: Mask, curve: Values, inverse: Values) -> Values:
    """Estimated and observed reward of the list, and their difference, an answer."""
    own_place = np.where(logged.kept, logged.turn, -1)
    weighted = weights(own_place, curve, inverse) * logged.rewards
    chance = (1 - logged.shares[:, None]) ** np.arange(1, len(curve) + 1)
    untouched = np.logical_and.accumulate(logged.kept, axis=1) / chance
    seen = (untouched * logged.rewards)[answers].sum(axis=0)
    estimated = weighted[answers].sum() / answers.sum()
    observed = (seen / np.maximum(untouched[answers].sum(axis=0), 1)).sum()
    return np.array([estimated, observed, estimated - observed])


def _effective(sums: Values) -> float:
    """Effective sample size of weights (Kish, 1965)."""
    squares = float((sums**2).sum())
    return float(sums.sum()) ** 2 / squares if squares else 0.0


def _by_user(logged: Logged, values: Values) -> Values:
    """(users,) sums of values of answers."""
    of_answer = np.unique(logged.users, return_inverse=True)[1]
    return np.bincount(of_answer, values).astype(np.float64)


def _jackknife(
    logged: Logged, figures: Callable[[Mask, Values, Values], Values]
) -> Sequence[Estimate]:
    """Figures with standard errors by leaving out one group of users after another (Kott, 2001).

    Args:
        logged: The answers.
        figures: Takes which answers to use, the examination of places that they tell, and
            `inverse_examination` of it.
    """

    def of(answers: Mask) -> Values:
        curve = examination(logged, answers)
        return figures(answers, curve, inverse_examination(logged, curve))

    users = len(np.unique(logged.users))
    groups = min(GROUPS, users)
    of_group = folds(logged.users, groups)
    without = np.stack([of(of_group != group) for group in range(groups)])
    spread = ((without - without.mean(axis=0)) ** 2).sum(axis=0)
    errors = (
        np.sqrt(spread * (groups - 1) / groups) if groups > 1 else np.full(without.shape[1], np.inf)
    )
    whole = of(np.ones(len(logged), bool))
    return [
        Estimate(value=float(value), standard_error=float(error), users=users)
        for value, error in zip(whole, errors, strict=True)
    ]

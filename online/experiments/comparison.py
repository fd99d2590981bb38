"""Compares the arms of an experiment with its control, at any time while it runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from evaluation.intervals import Interval
from online.estimate import LEVEL, Estimate, Values, difference, lift, linearised, mean
from online.experiments.always_valid import always_valid
from online.experiments.cuped import cuped
from online.experiments.experiment import Experiment
from online.experiments.sample_ratio import check_sample_ratio


@dataclass(frozen=True, kw_only=True)
class Totals:
    """A figure of the users of one arm, since each was exposed first."""

    numerators: Values
    """(users,) such as clicks, purchases or income of each user"""
    denominators: Values | None = None
    """(users,) such as exposures, for a rate; None for a mean over users"""
    before: Values | None = None
    """(users,) a figure of the same users from before the experiment, for CUPED"""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """An arm beside the control."""

    control: Estimate
    arm: Estimate
    gain: Interval
    """Arm minus control; the interval is always valid"""
    lift: Interval
    """Gain as a share of the control; the interval is always valid"""

    @property
    def verdict(self) -> Literal["better", "worse", "undecided"]:
        """What is certain; it may be read, and the experiment stopped, at any time."""
        if self.gain["low"] > 0:
            return "better"
        return "worse" if self.gain["high"] < 0 else "undecided"


def compare(
    experiment: Experiment,
    totals: Mapping[str, Totals],
    *,
    planned_users: int,
    level: float = LEVEL,
) -> Mapping[str, Comparison]:
    """Each arm beside the control.

    With several arms each gets its share of the error (Bonferroni): the level is that of all
    verdicts together.

    Args:
        experiment: The experiment; its first arm is the control.
        totals: The figure by arm. Either all arms have `before`, or none.
        planned_users: Users of the whole experiment at its planned end.
        level: Probability that no verdict is ever wrong about a difference that is 0.

    Raises:
        SampleRatioError: the arms do not have the users that their weights promise.
        ValueError: an arm is missing, or the control of a lift is not positive.
    """
    weights = {arm.name: arm.weight for arm in experiment.arms}
    check_sample_ratio({name: len(each.numerators) for name, each in totals.items()}, weights)
    estimates = dict(
        zip(weights, map(mean, _values([totals[name] for name in weights])), strict=True)
    )
    control, *others = weights
    alone = 1 - (1 - level) / len(others)
    found = {}
    for name in others:
        share = (weights[control] + weights[name]) / sum(weights.values())
        pair = estimates[name], estimates[control]
        gain, relative = (
            always_valid(estimate, max(1, round(planned_users * share)), alone)
            for estimate in (difference(*pair), lift(*pair))
        )
        found[name] = Comparison(
            control=estimates[control], arm=estimates[name], gain=gain, lift=relative
        )
    return found


def _values(totals: list[Totals]) -> list[Values]:
    """Values of the users of each arm, whose means are the figures."""
    values = [
        each.numerators
        if each.denominators is None
        else linearised(each.numerators, each.denominators)
        for each in totals
    ]
    before = [each.before for each in totals if each.before is not None]
    if not before:
        return values
    if len(before) < len(totals):
        raise ValueError(f"before must be given for all {len(totals)} arms, got {len(before)}")
    return cuped(values, before)

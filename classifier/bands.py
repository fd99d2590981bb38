"""Bands of the shares of labels by day, and which days leave them.

A day is compared with the days before it. Counts are beta-binomial: between days, a share varies by
more than chance, which the residuals of the baseline measure (Williams, "Extra-binomial variation",
Applied Statistics 1982). Days of alarm are left out of later baselines.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from classifier.baselines import Baseline, BaselineConfig, baseline_of
from classifier.tails import two_sided, with_heavy_tails, with_light_tails

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]
Days = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class BandConfig:
    """When the share of a label leaves its band."""

    baseline: BaselineConfig = field(default_factory=BaselineConfig)
    """Days that a day is compared with."""
    rate: float = 0.01
    """False alarms: the share of days without a change that have any alarm, of all labels
    together."""

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise ValueError(f"rate must be within 0 and 1, got {self.rate}")


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Every day of every series beside its band; NaN where nothing was judged."""

    expected: Numbers
    """(days, series) shares that were expected"""
    low: Numbers
    """(days, series) lower ends of the bands"""
    high: Numbers
    """(days, series) upper ends of the bands"""
    p: Numbers
    """(days, series) two-sided p-values"""
    alarms: Flags
    """(days, series) whether the share is out of line"""
    seasonal: Flags
    """(days, series) whether the weekday was taken into account"""


def judged(texts: Days, labelled: Days, config: BandConfig) -> Judged:
    """Judge every day by the days before it.

    Args:
        texts: (days, series) texts that could have had the label, of consecutive days.
        labelled: (days, series) texts that have it.
        config: Baseline and rate of false alarms.
    """
    shape = texts.shape
    expected, low, high = (np.full(shape, np.nan) for _ in range(3))
    p, seasonal, alarms = np.full(shape, np.nan), np.zeros(shape, bool), np.zeros(shape, bool)
    for day in range(shape[0]):
        base = baseline_of(day, texts, labelled, alarms, config.baseline)
        known = base.known & (texts[day] > 0)
        if not known.any():
            continue
        expected[day] = np.where(known, base.share, np.nan)
        seasonal[day] = base.seasonal & known
        p[day, known] = _p_values(labelled[day, known], texts[day, known], base, known)
        low[day], high[day] = _band(texts[day], base, known, config.rate / known.sum())
        alarms[day] = rejected(p[day], config.rate)
    return Judged(expected=expected, low=low, high=high, p=p, alarms=alarms, seasonal=seasonal)


def rejected(p: Numbers, rate: float) -> Flags:
    """Which p-values are significant together; NaN never is.

    Benjamini and Hochberg, "Controlling the false discovery rate", JRSS B 1995. On a day without a
    change, every alarm is false, so the share of such days with any alarm is at most the rate.
    """
    found = np.zeros(len(p), bool)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    passed = np.flatnonzero(p[order] <= rate * np.arange(1, len(order) + 1) / len(order))
    if len(passed):
        found[order[: passed[-1] + 1]] = True
    return found


def _p_values(labelled: Days, texts: Days, base: Baseline, known: Flags) -> Numbers:
    """(known series,) p-values; few days tell the spread, so tails are those of t distributions."""
    counts, all_texts = labelled.astype(np.float64), texts.astype(np.float64)
    p = two_sided(counts, all_texts, base.share[known], base.spread[known])
    return with_heavy_tails(p, base.freedom[known])


def _band(texts: Days, base: Baseline, known: Flags, rate: float) -> tuple[Numbers, Numbers]:
    """(series,) ends of the bands that a share leaves with a probability, if nothing changed."""
    low, high = np.full(len(texts), np.nan), np.full(len(texts), np.nan)
    freedom = base.freedom[known]
    tail = with_light_tails(np.full(len(freedom), rate), freedom) / 2
    share, count = base.share[known], texts[known].astype(np.float64)
    variance = (1 + (count - 1) * base.spread[known]) / count
    size = np.maximum(1 / np.minimum(variance, 1) - 1, 1e-6)
    # half a text further out, because counts are whole
    low[known] = betaincinv(share * size, (1 - share) * size, tail) - 0.5 / count
    high[known] = betaincinv(share * size, (1 - share) * size, 1 - tail) + 0.5 / count
    low, high = np.maximum(low, 0), np.minimum(high, 1)
    return low, high

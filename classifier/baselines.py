"""What the days before a day say of its shares: level, weekday, and spread between days."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc

WEEK = 7
SIGNIFICANT = 0.01
"""P-value below which shares differ by weekday"""
LEAST = 1e-6
"""Smallest share that is expected"""
Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]
Days = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class BaselineConfig:
    """Which days a day is compared with."""

    days: int = 28
    """Days before it that say its level; twice as many say how weekdays differ and days spread."""
    least: int = 14
    """Fewest days with texts before any alarm."""

    def __post_init__(self) -> None:
        if not 2 <= self.least <= self.days:
            raise ValueError(
                f"least days must be within 2 and the baseline of {self.days}, got {self.least}"
            )


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What is expected of a day, for every series."""

    share: Numbers
    """(series,) expected shares"""
    spread: Numbers
    """(series,) correlation of two texts of a day, with the uncertainty of the expected share"""
    freedom: Numbers
    """(series,) degrees of freedom of the spread"""
    known: Flags
    """(series,) whether there were enough days"""
    seasonal: Flags
    """(series,) whether the weekday was taken into account"""


def baseline_of(
    day: int, texts: Days, labelled: Days, alarms: Flags, config: BaselineConfig
) -> Baseline:
    """What the days before a day say of it.

    Days of alarm are left out, unless too few would be left: then the new level is the usual one.

    Args:
        day: Row of the day.
        texts: (days, series) texts of consecutive days.
        labelled: (days, series) texts with the label.
        alarms: (days, series) days that were out of line; later ones are not looked at.
        config: Length of the baseline.
    """
    long, short = (slice(max(0, day - size), day) for size in (2 * config.days, config.days))
    recent = short.start - long.start
    used = _used(texts[long], alarms[long], recent, config.least)
    counts = np.where(used, texts[long], 0).astype(np.float64)
    found = np.where(counts > 0, labelled[long], 0).astype(np.float64)
    weekdays = np.arange(long.start, day) % WEEK
    pattern, seasonal, of_weekday = _by_weekday(counts, found, weekdays, day % WEEK)
    factors = pattern[weekdays]
    parts = (slice(recent, None), slice(0, recent))
    levels = [_level(counts[part], found[part], factors[part]) for part in parts]
    shares = np.concatenate([factors[part] * at for part, at in zip(parts, levels, strict=True)])
    # in the order of `shares`: the nearer days come first
    counts, found = np.roll(counts, -recent, axis=0), np.roll(found, -recent, axis=0)
    nearer, days = (counts[: day - short.start] > 0).sum(axis=0), (counts > 0).sum(axis=0)
    learnt = np.where(days > nearer, 2, 1) + np.where(seasonal, WEEK - 1, 0)
    freedom = np.maximum(days - learnt, 1).astype(np.float64)
    between, chance = _spread(counts, found, np.clip(shares, LEAST, 1 - LEAST), freedom)
    total = counts[: day - short.start].sum(axis=0)
    unsure = chance * (1 / np.maximum(total, 1) + np.where(seasonal, 1 / of_weekday, 0))
    return Baseline(
        share=np.clip(levels[0] * pattern[day % WEEK], LEAST, 1 - LEAST),
        spread=np.minimum(between + unsure, 0.5),
        freedom=_effective(freedom, days, levels[0], between, total / np.maximum(nearer, 1)),
        known=nearer >= config.least,
        seasonal=seasonal,
    )


def _used(texts: Days, alarms: Flags, recent: int, least: int) -> Flags:
    """(days, series) days with texts and without alarm; all with texts if these are few.

    Args:
        texts: (days, series) texts of the days before a day.
        alarms: (days, series) days that were out of line.
        recent: First of the days that give the level.
        least: Fewest of them.
    """
    full, usual = texts > 0, (texts > 0) & ~alarms
    half = np.maximum(least, full[recent:].sum(axis=0) / 2)
    return np.where(usual[recent:].sum(axis=0) >= half, usual, full)


def _by_weekday(
    counts: Numbers, found: Numbers, weekdays: NDArray[np.int64], today: int
) -> tuple[Numbers, Flags, Numbers]:
    """How the share of each weekday differs from the mean, where it does.

    An F test compares the differences between weekdays with those between days of one weekday.

    Returns:
        (7, series) factors, (series,) whether they differ from 1, and (series,) texts of the days
        that are on the weekday of `today`.
    """
    of_weekday = np.arange(WEEK)[:, None] == weekdays
    texts, labelled = of_weekday @ counts, of_weekday @ found
    share = np.clip(found.sum(axis=0) / np.maximum(counts.sum(axis=0), 1), LEAST, 1 - LEAST)
    expected = texts * share
    # five texts of the mean, so that rare labels have factors near 1
    factors = (labelled + 5) / (expected + 5)
    between = ((labelled - expected) ** 2 / np.maximum(expected * (1 - share), LEAST)).sum(axis=0)
    shares = np.clip(labelled / np.maximum(texts, 1), LEAST, 1 - LEAST)[weekdays]
    residuals = (found - counts * shares) ** 2 / np.maximum(counts * shares * (1 - shares), LEAST)
    within, days = residuals.sum(axis=0), (counts > 0).sum(axis=0)
    whole = (texts > 0).all(axis=0) & (days >= 2 * WEEK)
    freedom = np.maximum(days - WEEK, 1)
    ratio = (between / (WEEK - 1)) / np.maximum(within / freedom, 1.0)
    seasonal = whole & (fdtrc(WEEK - 1, freedom, ratio) < SIGNIFICANT)
    return np.where(seasonal, factors, 1.0), seasonal, np.maximum(texts[today], 1)


def _level(counts: Numbers, found: Numbers, factors: Numbers) -> Numbers:
    """(series,) share on an average weekday; half a text keeps it off 0."""
    level: Numbers = (found.sum(axis=0) + 0.5) / ((counts * factors).sum(axis=0) + 1)
    return level


def _effective(
    freedom: Numbers, days: NDArray[np.int64], share: Numbers, between: Numbers, texts: Numbers
) -> Numbers:
    """Degrees of freedom of a variance of counts, whose heavy tails make it less certain.

    The variance of an estimated variance grows by the excess kurtosis over the number of days. That
    is taken from the negative binomial distribution: 6 / shape + 1 / variance.
    """
    of_share = np.clip(share * (1 - share), LEAST, None)
    variance = np.maximum(texts * of_share * (1 + np.maximum(texts - 1, 0) * between), LEAST)
    kurtosis = 6 * between / of_share + 1 / variance
    return np.maximum(2 / (2 / freedom + kurtosis / np.maximum(days, 1)), 3.0)


def _spread(
    counts: Numbers, found: Numbers, shares: Numbers, freedom: Numbers
) -> tuple[Numbers, Numbers]:
    """Correlation of two texts of a day, by moments, and the variance relative to chance alone."""
    expected = counts * shares
    residuals = (found - expected) ** 2 / np.maximum(expected * (1 - shares), LEAST)
    pearson = np.where(counts > 0, residuals, 0).sum(axis=0)
    days = np.maximum((counts > 0).sum(axis=0), 1)
    pairs = np.maximum((np.maximum(counts - 1, 0)).sum(axis=0) * freedom / days, 1)
    between = np.maximum(pearson - freedom, 0) / pairs
    return between, np.maximum(pearson / freedom, 1)

"""Tails of beta-binomial distributions."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, gammaln, ndtr, ndtri, stdtr, stdtrit

SMALLEST = 1e-9
"""Smallest spread: below it the distribution is binomial"""
FAR = 12.0
"""Standard deviations beyond which a tail holds nothing that matters"""
Numbers = NDArray[np.float64]


def two_sided(counts: Numbers, texts: Numbers, shares: Numbers, spreads: Numbers) -> Numbers:
    """Probabilities of counts at least as far on their sides as these, doubled; at most 1.

    Args:
        counts: (series,) texts with the label.
        texts: (series,) all texts, at least 1.
        shares: (series,) expected shares, strictly between 0 and 1.
        spreads: (series,) correlations of two texts of a day, from 0 (binomial) to below 1.
    """
    falls = counts < texts * shares
    counts, shares = np.where(falls, texts - counts, counts), np.where(falls, 1 - shares, shares)
    return np.minimum(1.0, 2 * _at_least(counts, texts, shares, np.maximum(spreads, SMALLEST)))


def with_heavy_tails(p: Numbers, freedom: Numbers) -> Numbers:
    """P-values of the t distribution at the deviations whose normal p-values, two-sided, these are.

    Args:
        p: (series,) two-sided p-values that take a spread as known.
        freedom: (series,) degrees of freedom from which the spread was estimated.
    """
    heavy: Numbers = np.minimum(1.0, 2 * stdtr(freedom, ndtri(np.clip(p / 2, 1e-300, 0.5))))
    return heavy


def with_light_tails(p: Numbers, freedom: Numbers) -> Numbers:
    """The inverse of `with_heavy_tails`."""
    light: Numbers = 2 * ndtr(stdtrit(freedom, p / 2))
    return light


def _at_least(counts: Numbers, texts: Numbers, shares: Numbers, spreads: Numbers) -> Numbers:
    """(series,) probabilities of at least these counts."""
    first, second = shares * (1 / spreads - 1), (1 - shares) * (1 / spreads - 1)
    deviations = np.sqrt(texts * shares * (1 - shares) * (1 + (texts - 1) * spreads))
    terms = np.minimum(texts - counts, np.ceil(FAR * deviations) + 50) + 1
    place = np.arange(int(terms.max()))[:, None]
    within = place < terms
    more = np.where(within, counts + place, counts)
    logarithms = (
        gammaln(texts + 1)
        - gammaln(more + 1)
        - gammaln(texts - more + 1)
        + betaln(more + first, texts - more + second)
        - betaln(first, second)
    )
    tails: Numbers = np.where(within, np.exp(logarithms), 0).sum(axis=0)
    return np.minimum(tails, 1.0)

"""Importance weights of logged clicks for another ranking, under the position-based click model.

A click is examination of the place times attraction of the item (Richardson et al., WWW 2007). Then
a click counts for a ranking that has the item anywhere: the weight is the examination that the
ranking gives the item, divided by what the logged policy gives it on average. It is the estimator
of Li et al., "Offline evaluation of ranking policies with click models" (KDD 2018). Weights of
whole answers, or of all places above, would be exact under weaker assumptions, and hopeless: an
unseen ranking differs from the logged one at several places of nearly every answer.
"""

import numpy as np
from scipy.stats import nbinom

from online.estimate import Values
from online.off_policy.logged import NO_ITEM, Logged, Rows


def weights(places: Rows, curve: Values, inverse: Values) -> Values:
    """Weight of each shown item, by which its reward counts for a ranking.

    Args:
        places: (answers, places) where the ranking has each shown item, see `places_in`.
        curve: (places,) examination of each place.
        inverse: (answers, places) of `inverse_examination` by that curve.

    Returns:
        (answers, places) weights, 0 where the ranking does not show the item. Summed over an answer
        with the rewards, they have the ranking's reward as expectation.
    """
    return np.where(places >= 0, curve[places], 0.0) * inverse


def places_in(ranking: Rows, items: Rows) -> Rows:
    """(answers, places) the place, from 0, that a ranking gives to each shown item; -1 for none."""
    found = np.full(items.shape, -1)
    for place in range(ranking.shape[1]):
        wish = ranking[:, place, None]
        found[(items == wish) & (wish != NO_ITEM)] = place
    return found


def inverse_examination(logged: Logged, curve: Values) -> Values:
    """Inverse of the examination that the logged policy gives to each shown item on average.

    The list's item of rank r is at place m if m is not explored, and r - 1 of the places above:
    negative binomial. A drawn item's probability is known given the places above only. At each
    place it either was drawn above, is drawn now, or is not; the sum over all places, each with its
    share of the examination, has the right expectation.

    Returns:
        (answers, places); 0 where no item is.
    """
    shares, of_answer = np.unique(logged.shares, return_inverse=True)
    of_kept = np.stack([1 / _examined(share, curve) for share in shares])
    below = curve.sum() - np.cumsum(curve)
    shown = logged.items != NO_ITEM
    of_drawn = (1 / np.where(shown, logged.propensities, 1.0) + below / curve) / curve.sum()
    inverse = np.where(logged.kept, of_kept[of_answer[:, None], logged.turn], of_drawn)
    return np.where(shown, inverse, 0.0)


def _examined(share: float, curve: Values) -> Values:
    """(places,) examination that the list's item of each rank gets on average."""
    places = np.arange(len(curve))
    chances = nbinom.pmf(places - places[:, None], places[:, None] + 1, 1 - share)
    examined: Values = chances @ curve
    return examined

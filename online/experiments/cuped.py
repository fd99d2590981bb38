"""CUPED: removes from a figure what a user did before the experiment already tells."""

from collections.abc import Sequence

import numpy as np

from online.estimate import Values


def cuped(values: Sequence[Values], before: Sequence[Values]) -> list[Values]:
    """Values of the arms, adjusted by a figure from before the experiment.

    Deng, Xu, Kohavi and Walker, WSDM 2013. The means stay unbiased, and their variance falls by the
    squared correlation. One slope for all arms is fitted within them, so that the arms' difference
    does not enter it.

    Args:
        values: (users,) for each arm: a figure in the experiment, `linearised` if it is a rate.
        before: (users,) for each arm: a figure of the same users before it began. Give users
            without one the mean of all.

    Returns:
        (users,) adjusted values of each arm, for `online.estimate.mean`.

    Raises:
        ValueError: the shapes differ.
    """
    shapes = [each.shape for each in values], [each.shape for each in before]
    if shapes[0] != shapes[1]:
        raise ValueError(f"before must have the shapes {shapes[0]}, got {shapes[1]}")
    centred = [each - each.mean() for each in before]
    spread = sum(float(each @ each) for each in centred)
    if not spread:
        return list(values)
    shared = sum(float(each @ value) for each, value in zip(centred, values, strict=True))
    everyone = np.concatenate(before).mean()
    return [
        value - shared / spread * (each - everyone)
        for value, each in zip(values, before, strict=True)
    ]

"""How far rounding alone moves a value: the tolerances of tests that compare sums."""

import numpy as np
import torch

from backbone.device import best_device, serving_dtype

SERVED = serving_dtype(best_device())
"""Precision in which this machine trains and serves."""

TINY_BERT = {"terms": 512, "stored": 16}
"""Both layers of the tiny BERT: some 256 terms a layer, and 8 results of matrix products."""

BATCHES = {"terms": 1024, "stored": 4}
"""Another batch: its sums may be taken in another order, and a few results be rounded otherwise."""


def rounding(
    *expected: object, terms: int, stored: int = 0, dtype: torch.dtype = torch.float32
) -> float:
    """Largest difference by rounding between two ways to compute the same values.

    A rounded operation is off by at most half a unit in its last place, up or down as if by chance:
    n of them are off by about √n halves. A unit is relative to the largest of all values. So a
    gradient that is zero, as a sum of terms that are not, may be off as far as other gradients.

    Args:
        expected: The values; one that stands for their largest will do. Infinity does not count.
        terms: Terms of the sums, always in fp32, that lead to a value one after another. They get
            twice √n units, because parts of a sum may be larger than the sum.
        stored: Results, in `dtype`, that lead to a value one after another.
        dtype: Precision in which results are stored.
    """
    sizes = np.concatenate([np.abs(_as_array(values)).ravel() for values in expected])
    largest = sizes[np.isfinite(sizes)].max(initial=0)
    unit_of_sums, unit = (torch.finfo(kind).eps for kind in (torch.float32, dtype))
    return float(largest * (2 * terms**0.5 * unit_of_sums + stored**0.5 * unit))


def least_cosine(*, terms: int, stored: int = 0, dtype: torch.dtype = torch.float32) -> float:
    """Smallest cosine of two unit vectors that differ by rounding alone.

    Vectors that are a small distance apart have a cosine that is less than 1 by half its square.
    """
    apart = rounding(1, terms=terms, stored=stored, dtype=dtype)
    return 1 - apart**2 / 2 - rounding(1, terms=terms)


def _as_array(values: object) -> np.ndarray:
    return np.asarray(values.detach().cpu() if torch.is_tensor(values) else values, np.float64)

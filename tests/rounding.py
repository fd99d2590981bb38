"""Tolerances of tests that compare sums: how far rounding alone moves a value."""

import numpy as np
import torch

from backbone.device import best_device, serving_dtype

SERVED = serving_dtype(best_device())
"""Precision in which this machine trains and serves."""

TINY_BERT = {"terms": 512, "stored": 16}
"""Both layers of the tiny BERT: each sums about 256 terms and stores 8 matrix products."""

BATCHES = {"terms": 1024, "stored": 4}
"""Another batch: sums may run in another order, and a few results may round differently."""


def rounding(
    *expected: object, terms: int, stored: int = 0, dtype: torch.dtype = torch.float32
) -> float:
    """Largest difference by rounding between two ways to compute the same values.

    A rounded operation has an error of at most half a unit in its last place, of random sign: the
    errors of n operations add up to about √n halves. A unit is relative to the largest value. So a
    gradient that is zero as a sum of non-zero terms may have the error of the largest gradient.

    Args:
        expected: The values, or their largest. Infinite values are ignored.
        terms: Number of terms summed in sequence to compute a value, always in fp32. The error is
            twice √n units, because partial sums may be larger than the sum.
        stored: Number of results stored in sequence, in `dtype`, to compute a value.
        dtype: Precision in which results are stored.
    """
    sizes = np.concatenate([np.abs(_as_array(values)).ravel() for values in expected])
    largest = sizes[np.isfinite(sizes)].max(initial=0)
    unit_of_sums, unit = (torch.finfo(kind).eps for kind in (torch.float32, dtype))
    return float(largest * (2 * terms**0.5 * unit_of_sums + stored**0.5 * unit))


def least_cosine(*, terms: int, stored: int = 0, dtype: torch.dtype = torch.float32) -> float:
    """Smallest cosine of two unit vectors that differ by rounding alone.

    The cosine of unit vectors at a small distance d is about 1 - d² / 2.
    """
    apart = rounding(1, terms=terms, stored=stored, dtype=dtype)
    return 1 - apart**2 / 2 - rounding(1, terms=terms)


def _as_array(values: object) -> np.ndarray:
    return np.asarray(values.detach().cpu() if torch.is_tensor(values) else values, np.float64)

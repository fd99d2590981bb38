import numpy as np
import pytest
from scipy.special import log_softmax

from classifier.hierarchy import log_shares


def test_shares_without_a_level_above_are_the_softmax():
    logits = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)

    shares = log_shares(logits, np.zeros(7, np.int64))

    np.testing.assert_allclose(shares, log_softmax(logits, axis=1), atol=1e-5)


def test_shares_of_the_children_of_each_parent_sum_to_one():
    logits = np.random.default_rng(0).normal(scale=30, size=(5, 6)).astype(np.float32)

    shares = np.exp(log_shares(logits, np.array([0, 0, 1, 2, 2, 2])))

    sums = np.stack([shares[:, :2].sum(1), shares[:, 2], shares[:, 3:].sum(1)])
    assert sums == pytest.approx(1, abs=1e-5)

from dataclasses import replace

import numpy as np
import pytest
import torch

from dataset.training_examples import training_examples
from tests.rounding import rounding
from towers.svd_init import svd_embeddings

pytestmark = pytest.mark.numeric


@pytest.fixture
def examples(shop):
    return training_examples(shop)


def test_items_that_share_users_are_near_each_other(examples):
    embeddings = svd_embeddings(examples, 240, dimension=16, seed=0)

    cosines = embeddings @ embeddings.T
    same = (
        torch.arange(240)[:, None] // 20 == torch.arange(240) // 20
    )  # each user buys items of one colour
    assert cosines[same].mean() > 0.5
    assert cosines[~same].mean().abs() < 0.1


def test_full_rank_gives_the_cosines_of_an_exact_decomposition(examples, shop):
    embeddings = svd_embeddings(examples, 240, dimension=240, seed=0).double()

    matrix = np.zeros((len(examples.user_starts) - 1, 240))
    owners = np.repeat(np.arange(len(matrix)), np.diff(examples.user_starts))
    matrix[owners, examples.items] = 1
    of_users, of_items = (np.sqrt(matrix.sum(axis, keepdims=True)) for axis in (1, 0))
    matrix /= np.maximum(of_users, 1) * np.maximum(of_items, 1)
    matrix -= of_users * of_items / np.linalg.norm(of_users) / np.linalg.norm(of_items)
    _, values, right = np.linalg.svd(matrix, full_matrices=False)
    exact = right.T * values
    exact /= np.linalg.norm(exact, axis=1, keepdims=True).clip(1e-9)
    exact[shop.popularity == 0] = 0
    tolerance = rounding(1, terms=matrix.size)  # a decomposition sums over the whole matrix
    np.testing.assert_allclose(embeddings @ embeddings.T, exact @ exact.T, atol=tolerance)


def test_items_without_purchases_have_zero_embeddings(examples):
    kept = examples.items != 7
    users = np.arange(len(examples.user_starts) - 1)
    owners = np.repeat(users, np.diff(examples.user_starts))[kept]
    without = replace(
        examples,
        items=examples.items[kept],
        user_starts=np.searchsorted(owners, np.arange(len(examples.user_starts))),
    )

    embeddings = svd_embeddings(without, 240, dimension=500, seed=0)

    assert embeddings.shape == (240, 500)
    assert not embeddings[7].any()
    bought = np.bincount(without.items, minlength=240) > 0
    np.testing.assert_allclose(embeddings.norm(dim=1), bought, atol=rounding(1, terms=500))


def test_the_seed_fixes_the_result_and_the_global_random_state_is_unchanged(examples):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)

    first, second = (svd_embeddings(examples, 240, dimension=16, seed=5) for _ in range(2))

    torch.testing.assert_close(first, second, atol=rounding(first, terms=240), rtol=0)
    assert torch.equal(torch.rand(2), expected)

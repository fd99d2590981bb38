"""Item embeddings that behaviour alone gives, in seconds: where residuals start."""

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.nn import functional

from dataset.training_examples import TrainingPoints

ITERATIONS = 4
"""Power iterations: the spectrum of sparse purchases falls slowly."""


def behaviour_embeddings(
    points: TrainingPoints, items: int, *, dimension: int, seed: int
) -> Tensor:
    """Embed items so that those which share users are near each other.

    The right singular vectors of the purchases, each divided by the square roots of how many its
    user and its item have, times their singular values. The largest component is taken away: its
    vectors are those square roots, so it says how often an item was bought and nothing else.

    Args:
        points: Whose training purchases are learnt from; repeats count once.
        items: Size of the corpus.
        dimension: Length of an embedding; what the purchases do not fill stays zero.
        seed: Of the randomised decomposition.

    Returns:
        (items, dimension) float32 of unit length, zero for items that nobody bought.

    Source: Cremonesi et al., "Performance of recommender algorithms on top-N recommendation tasks"
    (PureSVD), RecSys 2010; Halko et al., SIAM Review 2011 (the decomposition).
    """
    users = len(points.user_starts) - 1
    owners = np.repeat(np.arange(users), np.diff(points.user_starts))
    ones = np.ones(len(points.items), np.float32)
    bought = sparse.csr_array((ones, (owners, points.items)), shape=(users, items))
    bought.data[:] = 1.0
    of_users, of_items = (np.sqrt(bought.sum(axis=axis)) for axis in (1, 0))
    left, right = (sparse.diags_array(1 / np.maximum(roots, 1)) for roots in (of_users, of_items))
    scaled = (left @ bought @ right).tocoo()
    rank = min(dimension, users, items)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        of_rank, values, directions = torch.svd_lowrank(
            torch.sparse_coo_tensor(
                torch.from_numpy(np.stack(scaled.coords)),
                torch.from_numpy(scaled.data.astype(np.float32)),
                scaled.shape,
                check_invariants=True,
            ).coalesce(),
            q=rank,
            niter=ITERATIONS,
        )
    embeddings = torch.zeros(items, dimension)
    often = functional.normalize(of_rank.T @ torch.from_numpy(of_users.astype(np.float32)), dim=0)
    known = directions * values
    embeddings[:, :rank] = known - torch.outer(known @ often, often)
    embeddings[torch.from_numpy(of_items == 0)] = 0.0
    return functional.normalize(embeddings, dim=-1)

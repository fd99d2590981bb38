"""Item embeddings from an SVD of purchases, computed in seconds: the residuals' initial values."""

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.nn import functional

from dataset.training_examples import TrainingExamples

ITERATIONS = 4
"""Power iterations, needed because the singular values of sparse purchases fall slowly."""


def svd_embeddings(examples: TrainingExamples, items: int, *, dimension: int, seed: int) -> Tensor:
    """Embed items so that items with common users are near each other.

    Takes the matrix of purchases' strengths, each divided by the square roots of the sums of its
    user and of its item. The embeddings are its right singular vectors times its singular values,
    without the largest component. That component's vectors are the square roots, so it encodes
    popularity alone.

    Args:
        examples: Training examples whose purchases are used; repeats count once.
        items: Size of the corpus.
        dimension: Dimension of an embedding; beyond the rank of the matrix, entries are zero.
        seed: Seed of the randomised decomposition.

    Returns:
        (items, dimension) float32 of unit length, zero for items without purchases.

    Source: Cremonesi et al., "Performance of recommender algorithms on top-N recommendation tasks"
    (PureSVD), RecSys 2010; Halko et al., SIAM Review 2011 (the decomposition).
    """
    users = len(examples.user_starts) - 1
    owners = np.repeat(np.arange(users), np.diff(examples.user_starts))
    _, once = np.unique(owners * items + examples.items, return_index=True)
    entries = (examples.strengths[once], (owners[once], examples.items[once]))
    bought = sparse.csr_array(entries, shape=(users, items))
    of_users, of_items = (np.sqrt(bought.sum(axis=axis)) for axis in (1, 0))
    left, right = (
        sparse.diags_array(1 / np.where(roots > 0, roots, 1)) for roots in (of_users, of_items)
    )
    scaled = (left @ bought @ right).tocoo()
    rank = min(dimension, users, items)
    if not rank:
        return torch.zeros(items, dimension)
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

from itertools import pairwise

import numpy as np
import pytest
import torch

from generative.config import GenerativeConfig
from generative.decoder import empty_decoder
from generative.generator import Generator
from generative.trie import Trie


@pytest.fixture(scope="session")
def codes():
    """Different codes of 300 items: two levels of 8, and a third that tells equal ones apart."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(8, size=(300, 2)) * (rng.random((300, 2)) < 0.7)
    order = np.lexsort(coarse.T[::-1])
    numbers = np.zeros(300, np.int64)
    for before, after in pairwise(order):
        same = (coarse[before] == coarse[after]).all()
        numbers[after] = numbers[before] + 1 if same else 0
    return np.column_stack([coarse, numbers]).astype(np.int32)


@pytest.fixture(scope="session")
def generator(codes):
    """A decoder with random weights that are large enough to prefer some items."""
    config = GenerativeConfig(width=16, layers=1, heads=2, history_length=6, batch_size=64)
    torch.manual_seed(0)
    decoder = empty_decoder((codes.max(axis=0) + 1).tolist(), config).eval()
    for embedding in (*decoder.read, *decoder.written):
        torch.nn.init.normal_(embedding.weight)
    for writer in decoder.writers:
        torch.nn.init.normal_(writer.code_vectors.weight)
    return Generator(
        decoder=decoder.requires_grad_(requires_grad=False),
        codes=torch.from_numpy(codes.astype(np.int64)),
        trie=Trie.of(codes),
    )

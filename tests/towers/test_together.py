"""Training in two processes equals training in one on both batches."""

import socket
from datetime import timedelta

import numpy as np
import pytest
import torch
from torch import distributed, multiprocessing
from torch.nn.parallel import DistributedDataParallel

from backbone.config import TrainingConfig
from backbone.load import load_tokenizer
from dataset.training_examples import training_examples
from tests.rounding import rounding
from towers.config import TowersConfig
from towers.model import TwoTower, build_two_tower
from towers.negative_sampler import NegativeSampler
from towers.sampled_softmax import sampled_softmax
from towers.train import batches, text_inputs, training_source

pytestmark = pytest.mark.numeric


class Loss(torch.nn.Module):
    def __init__(self, model: TwoTower):
        super().__init__()
        self.model = model

    def forward(self, batch):
        items = self.model.item_tower(torch.zeros(len(batch.rows), 32), batch.rows)
        return sampled_softmax(
            self.model.users(items, batch),
            items[batch.candidates],
            batch.choices,
            temperature=self.model.temperature,
            dtype=torch.float32,
        )


def gradients(folder, shop, windows):
    """Gradients of a batch of some windows, scored against the pool of all processes; the pool."""
    config = TowersConfig(
        backbone=str(folder),
        dimension=16,
        widths=[],
        uniform=0,
        searches=0,
        residual_dropout=0,
        training=TrainingConfig(trained_layers=2),
    )
    inputs = text_inputs(shop, load_tokenizer(str(folder)), config)
    batch = batches(config, training_source(config, shop, inputs)).collate_fn(windows)
    torch.manual_seed(0)
    loss = Loss(build_two_tower(config, purchases=torch.full((240,), 9), actions=2, total_steps=1))
    if distributed.is_initialized():
        loss = DistributedDataParallel(loss, find_unused_parameters=True)
    loss(batch).backward()
    found = {
        name.removeprefix("module."): p.grad
        for name, p in loss.named_parameters()
        if p.grad is not None
    }
    return found, batch.rows[batch.candidates]


def one_of_two(rank, port, folder, shop, path):
    address = f"tcp://127.0.0.1:{port}"
    distributed.init_process_group(
        "gloo", init_method=address, rank=rank, world_size=2, timeout=timedelta(seconds=60)
    )
    try:
        torch.save(gradients(folder, shop, [[0, 1, 2], [3, 4, 5]][rank]), path / f"{rank}.pt")
    finally:
        distributed.destroy_process_group()


def the_other(_, *given):
    one_of_two(1, *given)


@pytest.mark.training
def test_gradients_of_two_processes_equal_those_of_one_with_both_batches(shop, tiny_bert, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    given = (port, tiny_bert, shop, tmp_path)
    other = multiprocessing.spawn(the_other, given, nprocs=1, join=False)
    one_of_two(0, *given)
    while not other.join():
        pass

    expected, pool = gradients(tiny_bert, shop, [0, 1, 2, 3, 4, 5])

    # Forward, backward, and the sum over all candidates. Logits are cosines that are divided by the
    # temperature, and a softmax is off by as much, relative to its size, as they are.
    tolerance = rounding(*expected.values(), terms=2 * 512 + len(pool)) / TowersConfig().temperature
    for rank in range(2):
        found, shared = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(shared, pool)
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name], gradient, atol=tolerance, rtol=0)


def test_a_single_process_uses_its_own_pool(shop):
    examples = training_examples(shop)
    sampler = NegativeSampler(target_share=np.full(240, 1 / 240), bought=np.arange(240), uniform=0)

    rows, _ = sampler(np.arange(5), examples.targets[:5], np.random.default_rng(0))

    np.testing.assert_array_equal(rows, np.unique(examples.targets[:5]))

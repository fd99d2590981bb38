"""Training in two processes by the command line equals training in one with the double batch."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from backbone.config import TrainingConfig
from backbone.load import load_tokenizer
from dataset.arrays import save_dataset
from lineage.cli import run
from lineage.manifest import read_manifest, writing
from lineage.processes import Processes
from tests.rounding import rounding
from tests.stage_command import TOGETHER, started
from towers.config import TowersConfig
from towers.fit import batches, text_inputs, training_source
from towers.model import build_two_tower
from towers.sampled_softmax import sampled_softmax
from towers.train import trial

pytestmark = pytest.mark.training


def config_of(tiny_bert, reads):
    return TowersConfig(
        backbone=str(tiny_bert),
        dimension=16,
        widths=[],
        reads=reads,
        item_layers=1 if reads == "titles" else 0,
        residual_dropout=0,
        searches=0.25,
        uniform=50,
        training=TrainingConfig(
            max_epochs=2,
            examples_per_epoch=100,
            batch_size=40,
            learning_rate=3e-3,
            trained_layers=2,
            devices=2,
        ),
    )


@pytest.mark.slow
@pytest.mark.parametrize("reads", ["items", "titles"])
def test_two_processes_train_the_towers_of_one_with_the_double_batch(
    shop, tiny_bert, tmp_path, reads, monkeypatch
):
    """The command starts the second process, or `torchrun` starts both."""
    monkeypatch.setenv("SHORTLIST_PRECISION", "fp32")
    config, roots = config_of(tiny_bert, reads), (tmp_path / "two", tmp_path / "one")
    for root in roots:
        with writing(root / "data", stage="data", config={}, inputs={}) as (folder, _):
            save_dataset(folder, shop)
    python = ["-m"] if reads == "items" else ["-c", TOGETHER]
    process = started([*python, "towers.trial"], config, roots[0])
    training = replace(config.training, devices=1, batch_size=80)
    run("trial/towers", replace(config, training=training), roots[1], trial)
    told, _ = process.communicate(timeout=280)

    assert process.returncode == 0, told
    two, one = (np.load(root / "trial/towers/item_embeddings.npy") for root in roots)
    np.testing.assert_allclose(two, one, atol=rounding(one, terms=12 * 2 * 512))
    facts = [read_manifest(root / "trial/towers", "towers").facts for root in roots]
    assert facts[0] == facts[1]


@pytest.mark.numeric
def test_gradients_of_two_shares_add_up_to_those_of_the_whole_batch(shop, tiny_bert):
    config = replace(config_of(tiny_bert, "items"), uniform=0)
    inputs = text_inputs(shop, load_tokenizer(str(tiny_bert)), config)

    def gradients(processes):
        source = replace(training_source(config, shop, inputs), processes=processes)
        batch = batches(config, source).collate_fn(list(range(7)))
        torch.manual_seed(0)
        model = build_two_tower(config, purchases=torch.full((240,), 9), actions=2, total_steps=1)
        items = model.item_tower(torch.zeros(len(batch.rows), 32), batch.rows)
        loss = batch.weight * sampled_softmax(
            model.users(items, batch),
            items[batch.candidates],
            batch.choices,
            temperature=model.temperature,
            dtype=torch.float32,
        )
        loss.backward()
        return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}

    first, second = (gradients(Processes(rank, 2)) for rank in range(2))

    expected = gradients(Processes())
    # a softmax is off by as much, relative to its size, as its logits, divided by the temperature
    tolerance = rounding(*expected.values(), terms=2 * 512 + 240) / TowersConfig().temperature
    for name, gradient in expected.items():
        mean = sum(part[name] for part in (first, second) if name in part) / 2
        torch.testing.assert_close(mean, gradient, atol=tolerance, rtol=0)

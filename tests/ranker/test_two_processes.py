"""Training the ranker in two processes equals training it in one with the double batch."""

import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from backbone.config import TrainingConfig
from lineage.cli import run
from lineage.manifest import read_manifest
from ranker.config import RankerConfig
from ranker.train import train
from tests.rounding import rounding
from tests.stage_command import started

pytestmark = [pytest.mark.training, pytest.mark.numeric]


@pytest.mark.slow
def test_two_processes_train_the_ranker_of_one_with_the_double_batch(
    release, tiny_bert, tmp_path, monkeypatch
):
    monkeypatch.setenv("SHORTLIST_PRECISION", "fp32")
    left_out = shutil.ignore_patterns("ranker", "training")
    roots = [shutil.copytree(release, tmp_path / name, ignore=left_out) for name in ("two", "one")]
    training = TrainingConfig(
        max_epochs=2, examples_per_epoch=40, batch_size=10, learning_rate=3e-3, devices=2
    )
    config = RankerConfig(
        backbone=str(tiny_bert), width=32, layers=1, candidates=20, ranked=10, training=training
    )

    process = started(["-m", "ranker"], config, roots[0])
    alone = replace(config, training=replace(training, devices=1, batch_size=20))
    run("ranker", alone, roots[1], train)
    told, _ = process.communicate(timeout=280)

    assert process.returncode == 0, told
    two, one = (load_file(root / "ranker/model/model.safetensors") for root in roots)
    tolerance = rounding(*one.values(), terms=4 * 2 * 512)  # four steps, each there and back
    for name, weights in one.items():
        torch.testing.assert_close(two[name], weights, atol=tolerance, rtol=0)
    facts = [read_manifest(root / "ranker", "ranker").facts for root in roots]
    assert facts[0] == facts[1]

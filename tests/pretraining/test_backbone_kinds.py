"""Every kind of backbone learns pairs, and words where its tokenizer has a mask."""

from dataclasses import replace

import pytest
import torch

from backbone.config import AdapterConfig, TrainingConfig
from backbone.load import load_bert, load_tokenizer
from pretraining.config import PretrainConfig
from pretraining.fitting import exported
from pretraining.source import Source
from pretraining.train import fit_backbone
from tests.tiny_backbones import KINDS, LINES, save_tiny

pytestmark = pytest.mark.training
TRAINING = TrainingConfig(
    max_epochs=1, examples_per_epoch=64, batch_size=32, learning_rate=1e-3, trained_layers=2
)


OFTEN = [("gpt2", "none"), ("mobilebert", "none"), ("bert", "lora")]
SELDOM = [(kind, "none") for kind in KINDS if (kind, "none") not in OFTEN]


@pytest.mark.parametrize(
    ("kind", "adapter"), [*OFTEN, *(pytest.param(*one, marks=pytest.mark.slow) for one in SELDOM)]
)
def test_a_kind_is_trained_and_exported_as_it_was(kind, adapter, tmp_path):
    folder = str(save_tiny(tmp_path / kind, kind))
    masks = load_tokenizer(folder).mask_token_id is not None
    config = PretrainConfig(
        backbone=folder,
        words=0.1 if masks else 0.0,
        training=replace(TRAINING, adapter=AdapterConfig(kind=adapter, rank=2)),
    )

    module, fitted = fit_backbone(config, Source.of_texts(LINES), tmp_path)

    before, after = load_bert(folder).state_dict(), exported(module, config)[0].state_dict()
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name].float()) for name in before)
    assert fitted.epochs == 1
    if not masks:
        with pytest.raises(ValueError, match="--words=0"):
            fit_backbone(replace(config, words=0.1), Source.of_texts(LINES), tmp_path / "masked")

"""The pre-training stage: from texts and purchases to a backbone that any stage can read."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from backbone.adapters import fine_tuned
from backbone.load import load_bert, load_tokenizer, save_backbone
from backbone.training import FitResult, seed_everything, total_steps, training_folder
from lineage.stages import BACKBONE
from pretraining.batches import PairBatches
from pretraining.check import check_of
from pretraining.config import PretrainConfig
from pretraining.fitting import exported, facts_of, fit_checked, inputs_of, loader_of
from pretraining.masking import Masking
from pretraining.model import PretrainModel
from pretraining.module import PretrainModule
from pretraining.source import Source


def pretrain(
    config: PretrainConfig, source: Source, root: Path, folder: Path, inputs: Mapping[str, str]
) -> Mapping[str, Any]:
    """Pre-train a backbone and write it.

    Args:
        config: Options of the training.
        source: Texts and purchases of the training split.
        root: Folder of the dataset's stages; checkpoints and logs go to `root/training`.
        folder: Where to write, as Hugging Face lays out a model and its tokenizer.
        inputs: Fingerprints of what the source was read from.

    Returns:
        Facts for the manifest.
    """
    workplace = training_folder(root, BACKBONE, asdict(config), dict(inputs))
    module, fitted = fit_backbone(config, source, workplace)
    save_backbone(folder, *exported(module, config))
    return {
        "texts": len(source.texts),
        "purchases": len(source.purchases),
        **facts_of(module, fitted),
    }


def fit_backbone(
    config: PretrainConfig, source: Source, folder: Path
) -> tuple[PretrainModule, FitResult]:
    """Train on a source; the backbone after the selected epoch is in `average`.

    Args:
        config: Options of the training.
        source: Texts and purchases.
        folder: Folder of checkpoints and logs; an interrupted training resumes from it.

    Raises:
        ValueError: words are to be masked, but the backbone has no mask.
    """
    training = config.training
    masking = None
    if config.words and config.masked:
        masking = Masking.of(load_tokenizer(config.backbone), config.masked)
    inputs, pad_id = inputs_of(source.texts, config)
    learnt, held = source.divided(config.held_out, training.seed)
    loader = loader_of(
        len(learnt),
        training,
        PairBatches(
            examples=learnt, inputs=inputs, pad_id=pad_id, masking=masking, seed=training.seed
        ),
    )
    check = check_of(held, inputs, masking, pad_id, training.seed)
    seed_everything(training.seed)
    bert = load_bert(config.backbone, dropout=training.dropout)
    steps = total_steps(loader, training)
    bert = fine_tuned(bert, training, layers=training.trained_layers, total_steps=steps)
    module = PretrainModule(PretrainModel(bert), check, config).train()
    return module, fit_checked(module, loader, folder)

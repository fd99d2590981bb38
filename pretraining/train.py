"""The pre-training stage: from texts and purchases to a backbone that any stage can read."""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from backbone.adapters import fine_tuned, merged
from backbone.epoch_batches import EpochBatches, EpochSampler
from backbone.load import load_bert, load_tokenizer, save_backbone
from backbone.tokens import SpecialTokens, item_input, tokenize
from backbone.training import FitResult, fit, seed_everything, total_steps, training_folder
from backbone.unknown_pieces import warn_of_unknown_pieces
from dataset.config import NOTES
from lineage.stages import BACKBONE
from pretraining.batches import PairBatches
from pretraining.check import check_of
from pretraining.config import PretrainConfig
from pretraining.masking import Masking
from pretraining.model import PretrainModel
from pretraining.module import PretrainModule
from pretraining.source import Source

logger = logging.getLogger(__name__)
UNCHECKED = "nothing is held out that could stop the training, so it runs for all epochs"


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
    checked = module.check
    return {
        "texts": len(source.texts),
        "purchases": len(source.purchases),
        "epochs": fitted.epochs,
        **({} if checked is None else {checked.name: round(fitted.best, 4)}),
        NOTES: [] if checked is not None else [UNCHECKED],
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
    training, tokenizer = config.training, load_tokenizer(config.backbone)
    special = SpecialTokens.of(tokenizer)
    pieces = tokenize(source.texts, tokenizer, max_tokens=config.max_tokens - 2)
    warn_of_unknown_pieces(pieces, source.texts, tokenizer, config.backbone)
    inputs = [item_input(pieces[row], special) for row in range(len(pieces))]
    masking = Masking.of(tokenizer, config.masked) if config.words and config.masked else None
    learnt, held = source.divided(config.held_out, training.seed)
    loader: DataLoader[int] = DataLoader(
        range(len(learnt)),  # type: ignore[arg-type]  # a range is a map-style dataset
        batch_sampler=EpochBatches(
            EpochSampler(len(learnt), training.examples_per_epoch, training.seed),
            training.batch_size,
            np.ones(len(learnt), np.int64),
        ),
        collate_fn=PairBatches(
            examples=learnt, inputs=inputs, pad_id=special.pad, masking=masking, seed=training.seed
        ),
    )
    check = check_of(held, inputs, masking, special.pad, training.seed)
    if check is None:
        logger.warning(UNCHECKED)
    seed_everything(training.seed)
    bert = load_bert(config.backbone, dropout=training.dropout)
    steps = total_steps(loader, training)
    bert = fine_tuned(bert, training, layers=training.trained_layers, total_steps=steps)
    module = PretrainModule(PretrainModel(bert), check, config).train()
    fitted = fit(
        module,
        loader,
        DataLoader(TensorDataset(torch.zeros(1))),  # validation reads all texts at once
        config=training,
        monitor=None if check is None else check.name,
        folder=folder,
    )
    return module, fitted


def exported(
    module: PretrainModule, config: PretrainConfig
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The averaged backbone with its adapters merged, and its tokenizer."""
    return merged(module.average.bert), load_tokenizer(config.backbone)

"""Steps that pre-training and distillation share."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from backbone.adapters import merged
from backbone.batch import Batch
from backbone.config import TrainingConfig
from backbone.epoch_batches import EpochBatches, EpochSampler
from backbone.load import load_tokenizer
from backbone.tokens import Ids, SpecialTokens, item_input, tokenize
from backbone.training import FitResult, fit
from backbone.unknown_pieces import warn_of_unknown_pieces
from dataset.config import NOTES
from pretraining.config import LearningConfig
from pretraining.module import AveragedModule

logger = logging.getLogger(__name__)
UNCHECKED = "nothing is held out that could stop the training, so it runs for all epochs"


def inputs_of(texts: Sequence[str], config: LearningConfig) -> tuple[list[Ids], int]:
    """Word pieces of every text with special tokens, and the id of the padding token.

    Warns if many word pieces are unknown to the tokenizer.
    """
    tokenizer = load_tokenizer(config.backbone)
    special = SpecialTokens.of(tokenizer)
    pieces = tokenize(texts, tokenizer, max_tokens=config.max_tokens - 2)
    warn_of_unknown_pieces(pieces, texts, tokenizer, config.backbone)
    return [item_input(pieces[row], special) for row in range(len(pieces))], special.pad


def loader_of(
    examples: int, training: TrainingConfig, collate: Callable[[Sequence[int]], Batch]
) -> DataLoader[int]:
    """Training batches of some number of examples."""
    return DataLoader(
        range(examples),  # type: ignore[arg-type]  # a range is a map-style dataset
        batch_sampler=EpochBatches(
            EpochSampler(examples, training.examples_per_epoch, training.seed),
            training.batch_size,
            np.ones(examples, np.int64),
        ),
        collate_fn=collate,
    )


def fit_checked(module: AveragedModule, loader: DataLoader[int], folder: Path) -> FitResult:
    """Train a module until its check stops it; the selected backbone is in `average`.

    Args:
        module: Module to train.
        loader: Training batches.
        folder: Folder of checkpoints and logs; an interrupted training resumes from it.
    """
    if module.check is None:
        logger.warning(UNCHECKED)
    return fit(
        module,
        loader,
        DataLoader(TensorDataset(torch.zeros(1))),  # validation reads all texts at once
        config=module.config.training,
        monitor=None if module.check is None else module.check.name,
        folder=folder,
    )


def facts_of(module: AveragedModule, fitted: FitResult) -> dict[str, Any]:
    """Number of epochs, and the held-out figure, for the manifest."""
    checked = module.check
    return {
        "epochs": fitted.epochs,
        **({} if checked is None else {checked.name: round(fitted.best, 4)}),
        NOTES: [] if checked is not None else [UNCHECKED],
    }


def exported(
    module: AveragedModule, config: LearningConfig
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The averaged backbone with its adapters merged, and its tokenizer."""
    return merged(module.average.bert), load_tokenizer(config.backbone)

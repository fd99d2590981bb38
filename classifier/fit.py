"""Trains a classifier on some rows: from encoded targets to the weights of the selected epoch."""

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PreTrainedModel

from backbone.adapters import fine_tuned, merged
from backbone.augmentation import Augmenter
from backbone.encode_texts import encode_texts
from backbone.epoch_batches import EpochBatches, EpochSampler
from backbone.load import load_bert, load_tokenizer
from backbone.synonyms import synonyms_for
from backbone.tokens import Ids, SpecialTokens, item_input, tokenize
from backbone.training import FitResult, fit, seed_everything, total_steps
from backbone.unknown_pieces import warn_of_unknown_pieces
from classifier.artifact import Parts
from classifier.batches import TextSource
from classifier.config import ClassifierConfig
from classifier.contrast import PairedSampler
from classifier.model import TextModel
from classifier.module import MONITOR, ClassifierModule
from classifier.start import start_labels, start_numbers
from classifier.targets import Labels, Numbers, Target, output_slices
from dataset.labelled_texts import LabelledTexts
from lineage.processes import Processes


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """A table as training reads it."""

    targets: Sequence[Target]
    inputs: Sequence[Ids]
    """Word pieces of each row's text, with special tokens."""
    states: Tensor
    """(rows, hidden) states of the learnt texts by the pretrained backbone, of unit length; zeros
    for all other texts."""
    classes: NDArray[np.int64]
    """(rows, outputs) class of each output; negative without a known one."""
    numbers: NDArray[np.float64]
    """(rows, outputs) number of each output, on the learnt scale; NaN without one."""
    pad_id: int
    augmenter: Augmenter | None = None
    """Changes the texts of training batches, if any does."""


def encoded(
    config: ClassifierConfig,
    table: LabelledTexts,
    targets: Sequence[Target],
    rows: NDArray[np.int64],
    cache_below: Path,
    *,
    learnt: NDArray[np.int64] | None = None,
) -> Encoded:
    """Encode texts and targets; warns if many word pieces are unknown to the tokenizer.

    Args:
        config: Names the backbone.
        table: Texts and targets.
        targets: What is learnt.
        rows: Rows to learn, or to validate on.
        cache_below: Folder of the cached outputs of the pretrained backbone.
        learnt: Rows to learn synonyms from; by default all of these rows.
    """
    tokenizer, bert = load_tokenizer(config.backbone), load_bert(config.backbone)
    special = SpecialTokens.of(tokenizer)
    pieces = tokenize(table.texts, tokenizer, max_tokens=config.max_tokens - 2)
    warn_of_unknown_pieces(pieces, table.texts, tokenizer, config.backbone)
    states = np.zeros((len(table), bert.config.hidden_size), np.float32)
    states[rows] = encode_texts(
        bert,
        [table.texts[row] for row in rows.tolist()],
        tokenizer,
        max_tokens=config.max_tokens,
        cache_below=cache_below,
    )
    classes, numbers = codes_of(table, targets)
    read = rows if learnt is None else learnt
    values = np.concatenate([classes, np.nan_to_num(numbers)], axis=1)[read]
    kinds = np.unique(values, axis=0, return_inverse=True)[1]
    return Encoded(
        targets=targets,
        inputs=[item_input(pieces[row], special) for row in range(len(pieces))],
        states=torch.from_numpy(states),
        classes=classes,
        numbers=numbers,
        pad_id=special.pad,
        augmenter=Augmenter(
            texts=table.texts,
            tokenizer=tokenizer,
            max_tokens=config.max_tokens,
            config=config.augmentation,
            synonyms=synonyms_for(
                config.augmentation,
                (table.texts[row] for row in read.tolist()),
                kinds.ravel().tolist(),
                backbone=config.backbone,
                seed=config.training.seed,
                cache_below=cache_below,
            ),
        )
        if config.augmentation.changes and not is_frozen(config)
        else None,
    )


def codes_of(
    table: LabelledTexts, targets: Sequence[Target]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(rows, outputs) classes, and (rows, outputs) numbers; -1 and NaN in outputs of the other."""
    classes, numbers = [], []
    for target in targets:
        column = table.targets[target.name]
        shape = (len(table), len(target.outputs))
        if isinstance(target, Labels):
            classes.append(target.codes(cast("Sequence[str | None]", column)))
            numbers.append(np.full(shape, np.nan))
        else:
            classes.append(np.full(shape, -1, np.int64))
            numbers.append(target.scaled(np.asarray(column, np.float64))[:, None])
    return np.concatenate(classes, axis=1), np.concatenate(numbers, axis=1)


def fit_classifier(
    config: ClassifierConfig,
    data: Encoded,
    train: NDArray[np.int64],
    folder: Path,
    *,
    valid: NDArray[np.int64] | None,
) -> tuple[ClassifierModule, FitResult]:
    """Train on some rows.

    Args:
        config: Options of the heads and of the training.
        data: The table.
        train: Rows to learn.
        folder: Folder of checkpoints and logs; an interrupted training resumes from it.
        valid: Rows whose score selects the best epoch, if they are enough; None selects the last
            one.

    Returns:
        The classifier after the selected epoch, and the result of the training.
    """
    training = config.training
    source = _source(config, data, train)
    loader: DataLoader[int] = DataLoader(
        range(len(train)),  # type: ignore[arg-type]  # a range is a map-style dataset
        batch_sampler=EpochBatches(
            _sampler(config, data, train),
            training.batch_size,
            np.ones(len(train), np.int64),
            source.processes,
        ),
        collate_fn=source,
    )
    module = _module(config, data, source, total_steps(loader, training))
    checks = [] if valid is None else list(replace(source, rows=valid).in_order())
    chooses = valid is not None and len(valid) >= config.least_checked
    fitted = fit(
        module,
        loader,
        DataLoader(checks, batch_size=None),  # type: ignore[arg-type]  # a list, too
        config=training,
        monitor=MONITOR if chooses else None,
        folder=folder,
    )
    if valid is not None and not chooses:
        reached = module.trainer.callback_metrics.get(MONITOR, torch.tensor(0.0))
        fitted = replace(fitted, best=float(reached))
    module.eval()
    return module, fitted


def _sampler(config: ClassifierConfig, data: Encoded, rows: NDArray[np.int64]) -> EpochSampler:
    """Each text once an epoch, or as often as the least number of steps needs.

    Texts of one label follow each other where they are contrasted.
    """
    training, (first, *_) = config.training, data.targets
    passes = math.ceil(config.least_steps * training.batch_size / len(rows))
    if isinstance(first, Labels):
        last = len(first.outputs) - 1
        if config.contrast_of(len(rows), first.outputs[last]):
            classes = data.classes[rows, last]
            return PairedSampler(classes, training.examples_per_epoch, training.seed, passes)
    return EpochSampler(len(rows), training.examples_per_epoch, training.seed, passes=passes)


def _source(config: ClassifierConfig, data: Encoded, rows: NDArray[np.int64]) -> TextSource:
    return TextSource(
        inputs=data.inputs,
        states=data.states if is_frozen(config) else None,
        classes=data.classes,
        numbers=data.numbers,
        rows=rows,
        pad_id=data.pad_id,
        augmenter=data.augmenter,
        seed=config.training.seed,
        readings=2 if config.rdrop else 1,
        processes=Processes.training(config.training.devices),
    )


def is_frozen(config: ClassifierConfig) -> bool:
    """Whether the heads alone are trained, on states that are computed once."""
    return config.training.trained_layers == 0


def _module(
    config: ClassifierConfig, data: Encoded, source: TextSource, steps: int
) -> ClassifierModule:
    """Heads that start from the pretrained states, on a backbone that is set up for training."""
    training = config.training
    seed_everything(training.seed)
    bert = load_bert(config.backbone, dropout=training.dropout)
    bert = fine_tuned(bert, training, layers=training.trained_layers, total_steps=steps)
    sizes = [size for target in data.targets for size in target.outputs]
    model = TextModel(bert, sizes, dropout=config.head_dropout)
    states, rows = data.states[source.rows], source.rows
    for target, outputs in zip(data.targets, output_slices(data.targets), strict=True):
        for output in outputs:
            head = cast("nn.Linear", model.heads[output])
            if isinstance(target, Numbers):
                if is_frozen(config):
                    start_numbers(head, states, data.numbers[rows, output])
            else:
                start_labels(head, states, torch.from_numpy(data.classes[rows, output]))
    return ClassifierModule(model, data.targets, source, config).train()


def finished(
    module: ClassifierModule, config: ClassifierConfig, table: LabelledTexts
) -> tuple[PreTrainedModel, Parts]:
    """The averaged backbone with its adapters merged, and the other parts, not calibrated."""
    model = deepcopy(module.average)
    heads = [cast("nn.Linear", head) for head in model.heads]
    parts = Parts(
        targets=module.targets,
        weights=[head.weight.detach().cpu().numpy() for head in heads],
        biases=[head.bias.detach().cpu().numpy() for head in heads],
        temperatures=[1.0] * len(heads),
        text_columns=table.text_columns,
        token_budget=config.token_budget,
        max_tokens=config.max_tokens,
    )
    return merged(model.bert), parts

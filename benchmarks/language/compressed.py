"""Measures smaller backbones on a table: heads on their frozen states, size and speed."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from backbone.batch import pad
from backbone.kinds import keep_layers, splits
from backbone.load import load_bert, load_tokenizer
from backbone.tokens import Ids
from backbone.training import training_folder
from benchmarks.language.encoders import (
    Encoder,
    inputs_of,
    int8_encoder,
    median_seconds,
    states_of_texts,
    torch_encoder,
)
from benchmarks.language.few import drawn, fingerprint, read
from benchmarks.language.few_labels import HEAD_STEPS, WAYS, steps_of
from benchmarks.language.fewer_heads import without_heads
from classifier.config import ClassifierConfig
from classifier.division import divided
from classifier.fit import Encoded, codes_of, finished, fit_classifier
from classifier.learnt_target import target_of
from classifier.targets import Target
from dataset.labelled_texts import LabelledTexts
from evaluation.intervals import Interval, difference_interval, mean_interval
from lineage.named_inputs import stage_at
from pretraining.distillation import student_of

logger = logging.getLogger("benchmarks.language.compressed")
WHOLE = "whole"
SINGLE, BATCH = (1, 16), (64, 24)
"""Texts, and word pieces of each, of a single request and of a batch"""
SEEN, CALIBRATED = 32, 300
"""Texts that show how important a head is, and that show the ranges of activations for int8"""
States = NDArray[np.float32]


class Figures(TypedDict):
    """Figures of one backbone."""

    accuracy: Interval
    difference: Interval
    """Accuracy minus that of the whole backbone, paired"""
    cosine: float | None
    """Mean cosine of its states with the whole backbone's; None if their sizes differ"""
    megabytes: float
    """Size of the weights: 4 bytes each, 1 in int8"""
    milliseconds: float
    """Median time of one text of 16 word pieces"""
    texts_a_second: float
    """In batches of 64 texts of 24 word pieces"""
    training_seconds: float


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which smaller backbones are measured."""

    backbones: Mapping[str, str]
    """More backbones by name"""
    layers: tuple[int, ...]
    """Layers of pruned backbones"""
    heads: int
    """Heads of a pruned layer; 0 prunes none"""
    rounds: int
    """Measured batches of each backbone"""


def measure(
    config: ClassifierConfig, dataset: str, root: Path, wanted: Wanted, *, shots: int
) -> dict[str, Figures]:
    """Figures of every backbone by its name.

    Args:
        config: Options of the classifier; its heads alone are trained.
        dataset: Folder or file of the table.
        root: Folder of the dataset's stages.
        wanted: Backbones to measure.
        shots: Examples of a label; 0 learns all.
    """
    heads = FrozenHeads.of(config, read(dataset, config), root, shots)
    encoders = dict(encoders_of(config, wanted, heads))
    states = {name: heads.states(encoder, name) for name, encoder in encoders.items()}
    hits = {name: heads.hits(one) for name, one in states.items()}
    pieces = np.concatenate(heads.inputs)
    one = median_seconds(encoders, pieces, *SINGLE, rounds=3 * wanted.rounds)
    batch = median_seconds(encoders, pieces, *BATCH, rounds=wanted.rounds)
    return {
        name: Figures(
            accuracy=mean_interval(hits[name]),
            difference=difference_interval(hits[name], hits[WHOLE]),
            cosine=_cosine(states[name], states[WHOLE]),
            megabytes=round(encoder.megabytes, 1),
            milliseconds=round(1e3 * one[name], 2),
            texts_a_second=round(BATCH[0] / batch[name], 1),
            training_seconds=round(encoder.seconds, 1),
        )
        for name, encoder in encoders.items()
    }


def encoders_of(
    config: ClassifierConfig, wanted: Wanted, heads: "FrozenHeads"
) -> Iterator[tuple[str, Encoder]]:
    """Encoders by name, the whole backbone first."""
    whole = load_bert(config.backbone)
    yield WHOLE, torch_encoder(whole)
    yield f"{WHOLE}, fp32", torch_encoder(whole, dtype=torch.float32)
    for layers in wanted.layers:
        lowest = load_bert(config.backbone)
        keep_layers(lowest, range(layers))
        yield f"lowest {layers}", torch_encoder(lowest)
        yield f"spread {layers}", torch_encoder(student_of(config.backbone, layers))
    if wanted.heads and splits(whole):
        seen = pad(heads.sample(SEEN), heads.pad_id)
        yield f"{wanted.heads} heads", torch_encoder(without_heads(whole, wanted.heads, seen))
    given = {name: load_bert(folder) for name, folder in wanted.backbones.items()}
    for name, bert in given.items():
        yield name, torch_encoder(bert, seconds=_training_seconds(wanted.backbones[name]))
    yield from _in_int8({WHOLE: whole, **given}, heads)


def _in_int8(
    backbones: Mapping[str, PreTrainedModel], heads: "FrozenHeads"
) -> Iterator[tuple[str, Encoder]]:
    if find_spec("nncf") is None or find_spec("openvino") is None:
        logger.warning("int8 is left out: it needs `pip install nncf openvino`")
        return
    for name, bert in backbones.items():
        if splits(bert):
            yield f"{name}, int8", int8_encoder(bert, heads.sample(CALIBRATED), heads.pad_id)


@dataclass(frozen=True, kw_only=True)
class FrozenHeads:
    """Heads that learn a table's first target from frozen states."""

    config: ClassifierConfig
    table: LabelledTexts
    """The learnt texts and then the test's"""
    target: Target
    learnt: int
    inputs: list[Ids]
    """Word pieces of each text, with special tokens"""
    pad_id: int
    root: Path

    @classmethod
    def of(
        cls, config: ClassifierConfig, table: LabelledTexts, root: Path, shots: int
    ) -> "FrozenHeads":
        """Heads for a draw of the table's training and validation texts, tested on its test."""
        config = steps_of(replace(config, target=config.targets[0]), WAYS[0], HEAD_STEPS)
        division = divided(table)
        rows = np.concatenate([division.train, division.valid])
        if shots:
            rows = drawn(list(table.targets[config.target]), rows, shots, config.training.seed)
        target = target_of(config.target, table, replace(division, train=rows), config)
        chosen = np.concatenate([rows, division.test]).tolist()
        column = table.targets[config.target]
        part = LabelledTexts(
            texts=[table.texts[row] for row in chosen],
            targets={config.target: [column[row] for row in chosen]},
            splits=None,
            text_columns=table.text_columns,
        )
        inputs, pad_id = inputs_of(part.texts, load_tokenizer(config.backbone), config.max_tokens)
        return cls(
            config=config,
            table=part,
            target=target,
            learnt=len(rows),
            inputs=inputs,
            pad_id=pad_id,
            root=root,
        )

    def sample(self, size: int) -> list[Ids]:
        """Word pieces of some learnt texts, drawn at random."""
        rows = np.random.default_rng(self.config.training.seed).permutation(self.learnt)
        return [self.inputs[row] for row in rows[:size].tolist()]

    def states(self, encoder: Encoder, name: str) -> States:
        """(texts, hidden) states of all texts."""
        logger.info("reading with %s", name)
        return states_of_texts(encoder, self.inputs, self.pad_id, name)

    def hits(self, states: States) -> NDArray[np.float64]:
        """(test texts,): 1 where heads that learn from the states are right."""
        classes, numbers = codes_of(self.table, [self.target])
        data = Encoded(
            targets=[self.target],
            inputs=self.inputs,
            states=torch.from_numpy(states),
            classes=classes,
            numbers=numbers,
            pad_id=self.pad_id,
        )
        identity = (asdict(self.config), fingerprint(self.table), self.learnt)
        folder = training_folder(self.root, "frozen", *identity, states[:64].tolist())
        module, _ = fit_classifier(self.config, data, np.arange(self.learnt), folder, valid=None)
        _, parts = finished(module, self.config, self.table)
        output = parts.outputs(self.target)[-1]
        found = parts.logits(states[self.learnt :], output).argmax(axis=1)
        right: NDArray[np.float64] = (found == classes[self.learnt :, output]).astype(float)
        return right


def _cosine(states: States, whole: States) -> float | None:
    same = states.shape == whole.shape
    return round(float((states * whole).sum(axis=1).mean()), 5) if same else None


def _training_seconds(folder: str) -> float:
    """Seconds of the stage that made a backbone; 0 if no stage did."""
    stage = stage_at(Path(folder))
    return 0.0 if stage is None else stage.seconds

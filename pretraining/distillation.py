"""The distillation stage: from a teacher and texts to a backbone of fewer layers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedModel

from backbone.adapters import fine_tuned
from backbone.encode_texts import encode_texts
from backbone.kinds import keep_layers
from backbone.load import load_bert, load_tokenizer, save_backbone
from backbone.training import FitResult, seed_everything, total_steps, training_folder
from lineage.stages import DISTILLED
from pretraining.config import DistilConfig
from pretraining.fitting import exported, facts_of, fit_checked, inputs_of, loader_of
from pretraining.model import TextReader
from pretraining.module import DistilModule
from pretraining.source import Source
from pretraining.taught import StateCheck, TaughtTexts


def distil(
    config: DistilConfig, source: Source, root: Path, folder: Path, inputs: Mapping[str, str]
) -> Mapping[str, Any]:
    """Distil a backbone and write the student.

    Args:
        config: Options of the student and of its training.
        source: Texts of the training split; its purchases are not read.
        root: Folder of the dataset's stages; checkpoints, logs and the teacher's states go to
            `root/training`.
        folder: Where to write, as Hugging Face lays out a model and its tokenizer.
        inputs: Fingerprints of what the source was read from.

    Returns:
        Facts for the manifest.
    """
    workplace = training_folder(root, DISTILLED, asdict(config), dict(inputs))
    module, fitted = fit_student(config, source.texts, workplace)
    save_backbone(folder, *exported(module, config))
    return {"texts": len(source.texts), "layers": config.layers, **facts_of(module, fitted)}


def fit_student(
    config: DistilConfig, texts: Sequence[str], folder: Path
) -> tuple[DistilModule, FitResult]:
    """Train a student on texts; the backbone after the selected epoch is in `average`.

    The teacher reads each text once, and its states are cached beside the checkpoints.

    Args:
        config: Options of the student and of its training.
        texts: Distinct texts.
        folder: Folder of checkpoints and logs; an interrupted training resumes from it.

    Raises:
        ValueError: the teacher has fewer layers than the student should have.
    """
    training = config.training
    bert = student_of(config.backbone, config.layers, dropout=training.dropout)
    inputs, pad_id = inputs_of(texts, config)
    states = encode_texts(
        load_bert(config.backbone),
        texts,
        load_tokenizer(config.backbone),
        max_tokens=config.max_tokens,
        description="teacher",
        cache_below=folder.parent,
    )
    learnt, held = (
        TaughtTexts(inputs=inputs, states=states, rows=part.alone, pad_id=pad_id)
        for part in Source.of_texts(texts).divided(config.held_out, training.seed)
    )
    loader = loader_of(len(learnt.rows), training, learnt)
    check = StateCheck(texts=held) if len(held.rows) else None
    seed_everything(training.seed)
    layers = min(training.trained_layers, config.layers)
    bert = fine_tuned(bert, training, layers=layers, total_steps=total_steps(loader, training))
    bert.get_input_embeddings().requires_grad_(requires_grad=False)
    module = DistilModule(TextReader(bert), check, config).train()
    return module, fit_checked(module, loader, folder)


def student_of(teacher: str, layers: int, *, dropout: float = 0.0) -> PreTrainedModel:
    """A backbone with the weights of layers that are spread evenly over the teacher's.

    Args:
        teacher: Local folder of a backbone, or hub name with its revision.
        layers: Number of layers to keep; of six, three are the first, third and sixth.
        dropout: Probability of zeroing an activation in training.

    Raises:
        ValueError: the teacher has fewer layers.
    """
    bert = load_bert(teacher, dropout=dropout)
    depth = bert.config.num_hidden_layers
    spread = np.linspace(0, depth - 1, layers).round().astype(int).tolist()
    keep_layers(bert, spread if layers <= depth else range(layers))
    return bert

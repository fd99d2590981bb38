"""The towers stage: train, export, embed the corpus."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset
from transformers import PreTrainedTokenizerBase

from backbone.load import load_tokenizer
from backbone.tokens import SpecialTokens, tokenize
from backbone.training import EpochSampler, fit, seed_everything, training_folder
from dataset.arrays import Cases, Dataset, load_dataset
from dataset.points import training_points
from lineage.manifest import read_manifest
from towers.config import TowersConfig
from towers.encode import encode
from towers.export import EMBEDDINGS, load_tower, save_inputs, save_tower
from towers.model import build_two_tower
from towers.module import MONITOR, TowersModule
from towers.pairs import PairCollator, TextInputs


def train(config: TowersConfig, root: Path, folder: Path) -> Mapping[str, Any]:
    """Train both towers on a finished data stage and write them with the corpus's embeddings.

    Args:
        config: What and how.
        root: Folder of the dataset's stages; checkpoints and logs go to `root/training`.
        folder: Where to write.

    Returns:
        Facts for the manifest.
    """
    data = load_dataset(root / "data")
    tokenizer = load_tokenizer(config.backbone)
    inputs = text_inputs(data, tokenizer, config)
    seed_everything(config.training.seed)
    module = _module(config, data, inputs)
    fingerprint = read_manifest(root / "data", "data").fingerprint
    workplace = training_folder(root, "towers", asdict(config), fingerprint)
    best = fit(
        module,
        _pairs(config, data, inputs),
        DataLoader(TensorDataset(torch.zeros(1))),  # validation looks at all users at once
        config=config.training,
        monitor=MONITOR,
        folder=workplace,
    )
    save_inputs(folder, inputs)
    save_tower(folder / "user_tower", module.model.user_tower, tokenizer)
    save_tower(folder / "item_tower", module.model.item_tower, tokenizer)
    embeddings = encode(
        load_tower(folder / "item_tower"),
        inputs.corpus(),
        pad_id=inputs.special.pad,
        description="corpus",
    )
    np.save(folder / EMBEDDINGS, embeddings)
    shutil.rmtree(workplace / "checkpoints")
    return {
        "items": len(embeddings),
        "dimension": config.dimension,
        "metric": "inner product",
        "temperature": round(float(module.model.temperature.detach()), 4),
        MONITOR: round(best, 4),
        "epochs": module.trainer.current_epoch,
    }


def text_inputs(
    data: Dataset, tokenizer: PreTrainedTokenizerBase, config: TowersConfig
) -> TextInputs:
    """Split every item's text and title into word pieces."""
    return TextInputs(
        texts=tokenize(data.texts, tokenizer, max_tokens=config.item_tokens - 2),
        titles=tokenize(data.titles, tokenizer, max_tokens=config.title_tokens),
        special=SpecialTokens.of(tokenizer),
        history_tokens=config.history_tokens,
    )


def valid_cases(data: Dataset, users: int, seed: int) -> Cases:
    """A seeded sample of the validation split.

    Raises:
        ValueError: no user has something to find in it.
    """
    cases = data.cases("valid")
    if not len(cases):
        raise ValueError("valid split must hold a user with a history and a new item, got none")
    return cases.sample(users, seed)


def _module(config: TowersConfig, data: Dataset, inputs: TextInputs) -> TowersModule:
    model = build_two_tower(
        config.backbone,
        dimension=config.dimension,
        temperature=config.temperature,
        trained_layers=config.training.trained_layers,
        dropout=config.training.dropout,
    )
    valid = valid_cases(data, config.valid_users, config.training.seed)
    return TowersModule(model, inputs, valid, config.training)


def _pairs(config: TowersConfig, data: Dataset, inputs: TextInputs) -> DataLoader[int]:
    points = training_points(data)
    training = config.training
    return DataLoader(
        range(len(points)),  # type: ignore[arg-type]  # a range is a map-style dataset
        batch_size=training.batch_size,
        sampler=EpochSampler(len(points), training.examples_per_epoch, training.seed),
        collate_fn=PairCollator(points=points, inputs=inputs, log_q=data.log_q),
        drop_last=len(points) > training.batch_size,
    )

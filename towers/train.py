"""The towers stage: trains and exports both towers, and embeds the corpus.

It runs three times. The trial trains on the training split, with early stopping by validation
users. The evaluated towers then train on the training and validation split for the same number of
epochs, and those of the last fit, which are published, on everything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from backbone.load import load_tokenizer
from backbone.training import training_folder
from dataset.arrays import Dataset, load_dataset
from dataset.cases import Cases
from dataset.config import NOTES
from dataset.histories import NOTHING
from dataset.searching_cases import searching_cases
from dataset.validation_users import ValidationUsers
from lineage.manifest import read_manifest, require_newest_format
from lineage.stages import (
    DATA,
    EMBEDDINGS,
    LAST_TOWERS,
    LENGTHS,
    PARAMETERS,
    SEARCH_EMBEDDINGS,
    TOWERS,
    TRIAL_TOWERS,
    USER_EMBEDDINGS,
    WEIGHING_CASES,
)
from towers.artifact import save_item_tower, save_user_tower
from towers.categories import Categories, categories_of
from towers.config import TowersConfig
from towers.fit import fit_towers
from towers.history_tower import HistoryTower
from towers.module import TowersModule, monitored
from towers.start_from import require_other_shop
from towers.untrained import notes_of_refit, notes_of_trial
from towers.warm_start import require_unseen

Shoppers = tuple[Sequence[NDArray[np.int32]], Sequence[NDArray[np.int32]], Sequence[str]]
"""Histories, interaction codes and searches"""
EPOCHS, WARMUP = "epochs", "warm-up steps"
"""Keys of facts of the trial that the refit repeats."""


def trial(config: TowersConfig, root: Path, folder: Path) -> Mapping[str, Any]:
    """Train both towers on the training split with early stopping, and write them.

    Args:
        config: Options of the towers.
        root: Folder of the dataset's stages; checkpoints and logs go to `root/training`.
        folder: Where to write.

    Returns:
        Facts for the manifest.
    """
    data = load_dataset(root / DATA)
    tokenizer = load_tokenizer(config.backbone)
    fingerprint = read_manifest(root / DATA, DATA).fingerprint
    require_other_shop(config, fingerprint)
    require_unseen(config, data)
    workplace = training_folder(root, TRIAL_TOWERS, asdict(config), fingerprint)
    users, categories = ValidationUsers.of(data), categories_of(config, root, len(data.item_ids))
    module, fitted = fit_towers(
        config,
        data,
        tokenizer,
        workplace,
        valid=users.stop.sample(config.valid_users, 0) if len(users.stop) else None,
        cache_below=root / "training",
        categories=categories,
    )
    learnt = _of_held_out(config, module, categories)
    weigh = users.weigh.sample(config.valid_users, 0)
    np.save(folder / WEIGHING_CASES, weigh.places)
    _save_searches(module, searching_cases(data, weigh), folder)
    return {
        **_written(
            config,
            module,
            (weigh.histories, weigh.interaction_codes, weigh.searches),
            tokenizer,
            folder,
        ),
        **learnt,
        monitored(users.stop): None if np.isnan(fitted.best) else round(fitted.best, 4),
        EPOCHS: fitted.epochs or config.training.max_epochs,
        WARMUP: module.warmup,
        PARAMETERS: fitted.parameters,
        NOTES: notes_of_trial(data, stopping=len(users.stop), epochs=config.training.max_epochs),
    }


def _save_searches(module: TowersModule, cases: Cases, folder: Path) -> None:
    """Write the embeddings of cases that search, which weigh words beside the towers."""
    if not isinstance(module.average.user_tower, HistoryTower):
        return
    items = module.embed_items()
    searching = (cases.histories, cases.interaction_codes, cases.searches)
    np.save(folder / SEARCH_EMBEDDINGS, module.embed_users(items, *searching).cpu().numpy())


def train(config: TowersConfig, root: Path, folder: Path) -> Mapping[str, Any]:
    """Train both towers on the training and the validation split, and write them.

    Args:
        config: Options of the towers; the numbers of epochs and of warm-up steps come from the
            trial.
        root: Folder of the dataset's stages; checkpoints and logs go to `root/training`.
        folder: Where to write.

    Returns:
        Facts for the manifest.
    """
    return _refit(config, load_dataset(root / DATA).for_refit(), root, folder, TOWERS)


def train_last(config: TowersConfig, root: Path, folder: Path) -> Mapping[str, Any]:
    """`train` on everything, the test split too, for the towers that are published."""
    return _refit(config, load_dataset(root / DATA).for_last_fit(), root, folder, LAST_TOWERS)


def _refit(
    config: TowersConfig, data: Dataset, root: Path, folder: Path, stage: str
) -> Mapping[str, Any]:
    """Train both towers of a stage on the training split of some data, as the trial decided."""
    tokenizer = load_tokenizer(config.backbone)
    decided = read_manifest(root / TRIAL_TOWERS, TRIAL_TOWERS)
    require_newest_format(root / TRIAL_TOWERS, decided, TRIAL_TOWERS)
    workplace = training_folder(root, stage, asdict(config), decided.fingerprint)
    epochs = decided.facts[EPOCHS]
    config = replace(config, training=replace(config.training, max_epochs=epochs))
    require_unseen(config, data)
    warmup = decided.facts[WARMUP]
    if config.warm_start is not None and warmup is not None:
        warmup = round(config.warm_share * warmup)
    categories = categories_of(config, root, len(data.item_ids))
    module, _ = fit_towers(
        config,
        data,
        tokenizer,
        workplace,
        warmup=warmup,
        cache_below=root / "training",
        categories=categories,
    )
    learnt = _of_held_out(config, module, categories)
    return {
        **_written(config, module, _sampled(config, data, module), tokenizer, folder),
        **learnt,
        EPOCHS: epochs,
        NOTES: notes_of_refit(len(module.examples)),
        "learnt": "everything" if stage == LAST_TOWERS else "everything but the test split",
    }


def _sampled(config: TowersConfig, data: Dataset, module: TowersModule) -> Shoppers:
    """Histories of some users, or some logged searches where there are any."""
    rng, examples = np.random.default_rng(config.training.seed), module.examples
    if examples.groups is not None and isinstance(module.average.user_tower, HistoryTower):
        searches = rng.permutation(np.array(examples.searches))[: config.valid_users].tolist()
        return [NOTHING] * len(searches), [NOTHING] * len(searches), searches
    known = np.flatnonzero(np.diff(examples.user_starts))
    users = rng.permutation(known)[: config.valid_users].tolist()
    return (
        [data.history(user) for user in users],
        [data.history_codes(user) for user in users],
        (),
    )


def _written(
    config: TowersConfig,
    module: TowersModule,
    shoppers: Shoppers,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
) -> Mapping[str, Any]:
    """Write the towers and the embeddings of the corpus and of some shoppers; return facts.

    `shoppers` are their histories, interaction codes and searches.
    """
    unnormalised = module.unnormalised_items()
    items = functional.normalize(unnormalised, dim=-1)
    users = module.embed_users(items, *shoppers)
    module.average.merge_adapters()
    np.save(folder / EMBEDDINGS, items.cpu().numpy())
    np.save(folder / LENGTHS, unnormalised.norm(dim=-1).cpu().numpy())
    np.save(folder / USER_EMBEDDINGS, users.cpu().numpy())
    user_tower, titles = module.average.user_tower, load_tokenizer(config.of_titles)
    save_user_tower(folder, user_tower, module.inputs, titles, config)
    save_item_tower(folder, module.average.item_tower, tokenizer)
    return {
        "items": len(items),
        "dimension": config.dimension,
        "metric": "inner product",
        "temperature": round(float(module.average.temperature), 4),
        "unknown_pieces": round(module.inputs.unknown, 4),
    }


def _of_held_out(
    config: TowersConfig, module: TowersModule, categories: Categories | None
) -> dict[str, Any]:
    """How often the likeliest value of a held-out item is right; empty if none is learnt."""
    if categories is None:
        return {}
    held_out = module.embed_items()[torch.from_numpy(categories.held_out)]
    accuracy = categories.accuracy(module.likeliest_values(held_out))
    return {f"held-out items whose {config.category} is right": accuracy}

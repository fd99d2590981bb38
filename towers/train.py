"""The towers stage: trains and exports both towers, and embeds the corpus.

It runs three times. The trial trains on the training split, with early stopping by validation
users. The evaluated towers then train on the training and validation split for the same number of
epochs, and those of the last fit, which are published, on everything.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset
from transformers import PreTrainedTokenizerBase

from backbone.device import best_device
from backbone.encode_texts import encode_texts
from backbone.epoch_batches import EpochBatches, EpochSampler
from backbone.kinds import splits
from backbone.load import load_tokenizer
from backbone.optimizer import warmup_steps
from backbone.tokens import SpecialTokens, tokenize
from backbone.training import (
    FitResult,
    fit,
    seed_everything,
    total_steps,
    training_folder,
)
from backbone.unknown_pieces import warn_of_unknown_pieces
from dataset.arrays import Dataset, load_dataset
from dataset.cases import Cases
from dataset.config import NOTES
from dataset.training_examples import training_examples
from dataset.validation_users import ValidationUsers
from lineage.manifest import read_manifest, require_newest_format
from lineage.processes import Processes
from lineage.stages import (
    DATA,
    EMBEDDINGS,
    LAST_TOWERS,
    LENGTHS,
    TOWERS,
    TRIAL_TOWERS,
    USER_EMBEDDINGS,
    WEIGHING_CASES,
)
from towers.artifact import (
    save_item_tower,
    save_user_tower,
)
from towers.batches import TitleBatches, Training, WindowBatches
from towers.config import TowersConfig
from towers.hard_negatives import HardNegatives
from towers.inputs import TextInputs, Twins
from towers.model import build_two_tower
from towers.module import MONITOR, TowersModule
from towers.negative_sampler import NegativeSampler
from towers.svd_init import svd_embeddings
from towers.titles_tower import TitlesTower, start_titles_tower
from towers.untrained import notes_of_refit, notes_of_trial, untrained
from towers.windows import windows

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
    workplace = training_folder(root, TRIAL_TOWERS, asdict(config), fingerprint)
    users = ValidationUsers.of(data)
    module, fitted = fit_towers(
        config,
        data,
        tokenizer,
        workplace,
        valid=users.stop.sample(config.valid_users, 0) if len(users.stop) else None,
        cache_below=root / "training",
    )
    weigh = users.weigh.sample(config.valid_users, 0)
    np.save(folder / WEIGHING_CASES, weigh.places)
    return {
        **_written(config, module, (weigh.histories, weigh.interaction_codes), tokenizer, folder),
        MONITOR: None if np.isnan(fitted.best) else round(fitted.best, 4),
        EPOCHS: fitted.epochs or config.training.max_epochs,
        WARMUP: module.warmup,
        NOTES: notes_of_trial(data, stopping=len(users.stop), epochs=config.training.max_epochs),
    }


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
    module, _ = fit_towers(
        config,
        data,
        tokenizer,
        workplace,
        warmup=decided.facts[WARMUP],
        cache_below=root / "training",
    )
    known = np.flatnonzero(np.diff(module.examples.user_starts))
    users = np.random.default_rng(config.training.seed).permutation(known)[: config.valid_users]
    histories = [data.history(user) for user in users.tolist()]
    interaction_codes = [data.history_codes(user) for user in users.tolist()]
    return {
        **_written(config, module, (histories, interaction_codes), tokenizer, folder),
        EPOCHS: epochs,
        NOTES: notes_of_refit(len(module.examples)),
        "learnt": "everything" if stage == LAST_TOWERS else "everything but the test split",
    }


def _written(
    config: TowersConfig,
    module: TowersModule,
    shoppers: tuple[Sequence[NDArray[np.int32]], Sequence[NDArray[np.int32]]],
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
) -> Mapping[str, Any]:
    """Write the towers and the embeddings of the corpus and of some shoppers; return facts.

    `shoppers` are their histories and interaction codes.
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


def fit_towers(
    config: TowersConfig,
    data: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    *,
    valid: Cases | None = None,
    warmup: int | None = None,
    cache_below: Path,
) -> tuple[TowersModule, FitResult]:
    """Train both towers on the training split.

    Args:
        config: Options of the towers.
        data: Items and histories.
        tokenizer: Tokenizer of the backbone.
        folder: Folder of checkpoints and logs; an interrupted training resumes from it.
        valid: Users whose recall@100 selects the best epoch; None selects the last one.
        warmup: Steps during which the learning rate rises; by default as configured.
        cache_below: Folder of the cached outputs of the pretrained backbone.

    Returns:
        The towers after the selected epoch, with every text encoded, and the result of the
        training.
    """
    source = training_source(config, data, text_inputs(data, tokenizer, config))
    if not len(source.examples):
        module = build_module(config, data, source, 1, cache_below=cache_below)
        return on_device(module), untrained(module)
    loader = batches(config, source)
    steps = total_steps(loader, config.training)
    module = build_module(config, data, source, steps, valid=valid, cache_below=cache_below)
    module.warmup = warmup_steps(config.training, steps) if warmup is None else warmup
    fitted = fit(
        module,
        loader,
        DataLoader(TensorDataset(torch.zeros(1))),  # validation handles all users at once
        config=config.training,
        monitor=MONITOR if valid else None,
        folder=folder,
    )
    return on_device(module), fitted


def on_device(module: TowersModule) -> TowersModule:
    """The towers on the fastest device, where Lightning does not leave them, with every text."""
    module.to(best_device())
    if module.config.item_layers:
        module.encode_texts()
    return module


def text_inputs(
    data: Dataset, tokenizer: PreTrainedTokenizerBase, config: TowersConfig
) -> TextInputs:
    """Split every item's text and title into word pieces; warns if many are unknown."""
    reads_titles = tokenizer
    if config.of_titles != config.backbone:
        reads_titles = load_tokenizer(config.of_titles)
    texts = tokenize(data.texts, tokenizer, max_tokens=config.item_tokens - 2)
    return TextInputs(
        texts=texts,
        titles=tokenize(data.titles, reads_titles, max_tokens=config.title_tokens),
        special=SpecialTokens.of(tokenizer),
        title_special=SpecialTokens.of(reads_titles),
        history_tokens=config.history_tokens,
        unknown=warn_of_unknown_pieces(texts, data.titles, tokenizer, config.backbone),
    )


def training_source(config: TowersConfig, data: Dataset, inputs: TextInputs) -> Training:
    """The source of training batches: examples, inputs and the negative sampler."""
    examples = training_examples(data, within_baskets=config.reads == "items")
    items = len(data.item_ids)
    twins = Twins(inputs.titles[row] for row in range(len(inputs.titles)))
    counts = np.bincount(examples.targets, minlength=items)
    weighted = np.bincount(examples.targets, examples.weights, items)
    hard = None
    bought = np.flatnonzero(data.popularity)
    if config.hard and config.uniform < len(bought):
        hard = HardNegatives(examples, twins, items=items, margin=config.hard_margin)
    return Training(
        examples=examples,
        inputs=inputs,
        twins=twins,
        sampler=NegativeSampler(
            target_share=counts / max(counts.sum(), 1),
            bought=bought,
            uniform=config.uniform,
            hard=hard,
        ),
        fresh_texts=config.fresh_texts if config.item_layers else 0,
        seed=config.training.seed,
        prior=(config.prior * np.log1p(weighted)).astype(np.float32) if config.prior else None,
        processes=Processes.training(config.training.devices),
    )


def build_module(
    config: TowersConfig,
    data: Dataset,
    source: Training,
    steps: int,
    *,
    valid: Cases | None = None,
    cache_below: Path | None = None,
) -> TowersModule:
    """Build the towers, encode the corpus once, and initialise both projections from its texts.

    Args:
        config: Options of the towers.
        data: Items and histories.
        source: Source of the batches.
        steps: Steps of the training.
        valid: Users whose recall is monitored, if any.
        cache_below: Folder of the cached outputs of the pretrained backbone, if any.
    """
    seed_everything(config.training.seed)
    purchases = torch.from_numpy(np.array(data.popularity))
    model = build_two_tower(
        config, purchases=purchases, actions=len(data.action_names), total_steps=steps
    )
    module = TowersModule(model, valid, source, config).to(best_device())
    bert = model.item_tower.bert
    some_trained = 0 < config.item_layers < bert.config.num_hidden_layers
    if cache_below is not None and some_trained and splits(bert):
        module.cache_frozen_states(cache_below)
    texts = encode_texts(
        deepcopy(bert),
        data.texts,
        load_tokenizer(config.backbone),
        max_tokens=config.item_tokens,
        description="corpus",
        cache_below=cache_below,
    )
    module.texts = torch.from_numpy(texts)
    module.cpu()
    model.item_tower.fit_projection(module.texts)
    if config.residual:
        behaviour = svd_embeddings(
            source.examples, len(purchases), dimension=config.dimension, seed=config.training.seed
        )
        model.item_tower.fit_behaviour(module.texts, behaviour)
    if isinstance(model.user_tower, TitlesTower):
        start_titles_tower(model.user_tower, model.item_tower, module.texts, data.titles, config)
    module.average.load_state_dict(model.state_dict())
    return module.train()


def sequence_length(config: TowersConfig) -> int:
    """Most cells of a sequence: a history and a search."""
    return config.history_length + 1


def batches(config: TowersConfig, source: Training) -> DataLoader[int]:
    """Loader of training batches, in a seeded order."""
    examples, training = source.examples, config.training
    collate: TitleBatches | WindowBatches
    if config.reads == "titles":
        sizes = np.ones(len(examples), np.int64)
        collate = TitleBatches(training=source)
    else:
        cut = windows(examples, config.history_length)
        sizes = cut.ends - cut.starts
        collate = WindowBatches(
            training=source, windows=cut, width=sequence_length(config), searches=config.searches
        )
    order = EpochSampler(len(sizes), training.examples_per_epoch, training.seed)
    return DataLoader(
        range(len(sizes)),  # type: ignore[arg-type]  # a range is a map-style dataset
        batch_sampler=EpochBatches(order, training.batch_size, sizes, source.processes),
        collate_fn=collate,
    )

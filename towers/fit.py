"""Trains both towers on a split: from a dataset to the towers after the selected epoch."""

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset
from transformers import PreTrainedTokenizerBase

from backbone.device import best_device
from backbone.encode_texts import encode_texts
from backbone.epoch_batches import EpochBatches, EpochSampler
from backbone.kinds import splits
from backbone.load import load_tokenizer
from backbone.optimizer import warmup_steps
from backbone.synonyms import synonyms_for
from backbone.tokens import SpecialTokens, tokenize
from backbone.training import FitResult, fit, seed_everything, total_steps
from backbone.unknown_pieces import warn_of_unknown_pieces
from dataset.arrays import Dataset
from dataset.cases import Cases
from dataset.training_examples import training_examples
from lineage.processes import Processes
from towers.batches import TitleBatches, Training, WindowBatches, drawn_targets
from towers.categories import Categories
from towers.config import TowersConfig
from towers.hard_negatives import HardNegatives
from towers.history_tower import HistoryTower
from towers.inputs import TextInputs, Twins
from towers.model import build_two_tower
from towers.module import TowersModule, monitored
from towers.negative_sampler import NegativeSampler
from towers.start_from import Start
from towers.svd_init import svd_embeddings
from towers.titles_tower import TitlesTower, start_titles_tower
from towers.untrained import untrained
from towers.warm_start import Earlier
from towers.windows import windows

PASSES = 8
"""Most passes over a log of searches in one epoch"""
SAMPLED_TEXTS = 4_096
"""Texts whose principal components start the projection where the corpus need not be read"""


def fit_towers(
    config: TowersConfig,
    data: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    *,
    valid: Cases | None = None,
    warmup: int | None = None,
    cache_below: Path,
    categories: Categories | None = None,
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
        categories: Values of the items to learn, if any.

    Returns:
        The towers after the selected epoch, with every text encoded, and the result of the
        training.
    """
    source = training_source(config, data, text_inputs(data, tokenizer, config), cache_below)
    if not len(source.examples):
        # texts alone are better without purchases
        config = replace(config, start_from=None, warm_start=None)
        module = build_module(
            config, data, source, 1, cache_below=cache_below, categories=categories
        )
        return on_device(module), untrained(module)
    loader = batches(config, source)
    steps = total_steps(loader, config.training)
    module = build_module(
        config, data, source, steps, valid=valid, cache_below=cache_below, categories=categories
    )
    module.warmup = warmup_steps(config.training, steps) if warmup is None else warmup
    fitted = fit(
        module,
        loader,
        DataLoader(TensorDataset(torch.zeros(1))),  # validation handles all users at once
        config=config.training,
        monitor=monitored(valid) if valid else None,
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
        tokenizer=tokenizer,
        search_tokens=config.search_tokens,
    )


def training_source(
    config: TowersConfig, data: Dataset, inputs: TextInputs, cache_below: Path | None = None
) -> Training:
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
        augmentation=config.augmentation,
        synonyms=synonyms_for(
            config.augmentation,
            [*data.titles, *examples.searches],
            [*range(items), *(-1 for _ in examples.searches)],
            backbone=config.backbone,
            seed=config.training.seed,
            cache_below=cache_below,
        ),
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
    categories: Categories | None = None,
) -> TowersModule:
    """Build the towers, encode the corpus once, and initialise both projections from its texts.

    Towers that start from finished ones keep their projections. Purchases are added to those of
    another shop; those of this shop's earlier data bring their residuals.

    Args:
        config: Options of the towers.
        data: Items and histories.
        source: Source of the batches.
        steps: Steps of the training.
        valid: Users whose recall is monitored, if any.
        cache_below: Folder of the cached outputs of the pretrained backbone, if any.
        categories: Values of the items to learn, if any.
    """
    seed_everything(config.training.seed)
    start, earlier = Start.of(config, data.action_names), Earlier.of(config, data)
    starts = start is None  # otherwise both towers have the projection of finished ones
    purchases = torch.from_numpy(np.array(data.popularity))
    model = build_two_tower(
        config,
        purchases=purchases,
        actions=len(data.action_names),
        total_steps=steps,
        categories=categories,
        start=start,
    )
    module = TowersModule(model, valid, source, config).to(best_device())
    bert = model.item_tower.bert
    some_trained = 0 < config.item_layers < bert.config.num_hidden_layers
    words_move = config.training.adversarial != "none"
    if cache_below is not None and some_trained and splits(bert) and not words_move:
        module.cache_frozen_states(cache_below)
    if not reads_the_corpus(config, source):
        rows = np.random.default_rng(config.training.seed).permutation(len(source.inputs.texts))
        some = module.encode_some(np.sort(rows[:SAMPLED_TEXTS]))
        module.cpu()
        if starts:
            model.item_tower.fit_projection(some.cpu())
    elif module.below is not None:
        module.encode_texts()
    else:
        texts = encode_texts(
            deepcopy(bert),
            data.texts,
            load_tokenizer(config.backbone),
            max_tokens=config.item_tokens,
            description="corpus",
            cache_below=cache_below,
        )
        module.texts = torch.from_numpy(texts)
    if reads_the_corpus(config, source):
        module.cpu()
        if starts:
            model.item_tower.fit_projection(module.texts)
    if earlier is not None and config.residual:

        def encoded(texts: Sequence[str]) -> Tensor:
            tokenizer, length = load_tokenizer(config.backbone), config.item_tokens
            read = encode_texts(deepcopy(bert), texts, tokenizer, max_tokens=length)
            return torch.from_numpy(read)

        earlier.into_residuals(model.item_tower, module.texts, data.texts, encoded)
    elif config.residual:
        behaviour = svd_embeddings(
            source.examples, len(purchases), dimension=config.dimension, seed=config.training.seed
        )
        model.item_tower.fit_behaviour(module.texts, behaviour)
    if starts and isinstance(model.user_tower, TitlesTower):
        start_titles_tower(model.user_tower, model.item_tower, module.texts, data.titles, config)
    searched = source.examples.groups is not None
    if starts and searched and isinstance(model.user_tower, HistoryTower):
        model.user_tower.trust_items()  # a search begins where the pretrained backbone puts it
    module.average.load_state_dict(model.state_dict())
    return module.train()


def reads_the_corpus(config: TowersConfig, source: Training) -> bool:
    """Whether training needs texts that it does not encode itself.

    It does not where a batch encodes all of its candidates with gradients: no residuals are fitted,
    nobody has a history, and candidates are the batch's own targets.
    """
    examples = source.examples
    if examples.groups is None or config.residual or config.uniform or config.hard:
        return True
    histories = examples.ends > examples.user_starts[examples.user_rows]
    own = config.item_layers and config.fresh_texts >= 2 * config.training.batch_size
    return bool(not own or histories.any())


def sequence_length(config: TowersConfig) -> int:
    """Most cells of a sequence: a history and a search."""
    return config.history_length + 1


def batches(config: TowersConfig, source: Training) -> DataLoader[int]:
    """Loader of training batches, in a seeded order."""
    examples, training = source.examples, config.training
    collate: TitleBatches | WindowBatches
    if config.reads == "titles":
        sizes = np.ones(examples.without_search, np.int64)
        collate = TitleBatches(training=source)
    else:
        cut = windows(examples, config.history_length)
        sizes = np.concatenate([cut.ends - cut.starts, drawn_targets(examples)])
        collate = WindowBatches(
            training=source,
            windows=cut,
            width=sequence_length(config),
            searches=config.searches if examples.groups is None else 0.0,
            cropped=config.cropped,
            reordered=config.reordered,
        )
    passes = 1 if examples.groups is None else PASSES
    per_epoch = training.examples_per_epoch
    if config.warm_start is not None:
        per_epoch = math.ceil(config.warm_share * min(per_epoch, passes * len(sizes)))
    order = EpochSampler(len(sizes), per_epoch, training.seed, passes=passes)
    return DataLoader(
        range(len(sizes)),  # type: ignore[arg-type]  # a range is a map-style dataset
        batch_sampler=EpochBatches(order, training.batch_size, sizes, source.processes),
        collate_fn=collate,
    )

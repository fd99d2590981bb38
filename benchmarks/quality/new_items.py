"""Recall of items that nobody bought in training.

A share of the items is held out: their purchases are removed from the training and the validation
split, and the towers are trained on the rest. Then the whole corpus is ranked for the test users
who bought a held-out item. The peer is the untrained backbone: the mean of the embeddings of the
last items' texts.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from backbone.load import load_tokenizer
from backbone.training import training_folder
from benchmarks.quality.subsets import with_interactions
from benchmarks.quality.untrained import Untrained
from dataset.arrays import TEST, Dataset, load_dataset
from dataset.cases import Cases
from dataset.validation_users import ValidationUsers
from evaluation.intervals import Interval, difference_interval, mean_interval
from evaluation.metrics import recall
from evaluation.search import exact_search
from lineage.manifest import read_manifest
from lineage.stages import DATA
from towers.config import TowersConfig
from towers.fit import fit_towers

logger = logging.getLogger(__name__)
KS = (10, 50, 100)


def hold_out(data: Dataset, share: float, seed: int) -> tuple[Dataset, NDArray[np.int64]]:
    """Remove all purchases before the test of a random share of the items.

    Args:
        data: Items and histories.
        share: Share of the items bought in training, 0 to 1.
        seed: Seed of the random choice.

    Returns:
        The same items and users without these purchases, and the held-out rows, ascending.

    Raises:
        ValueError: the share is not between 0 and 1, or too small for one item.
    """
    if not 0 < share < 1:
        raise ValueError(f"share must be between 0 and 1, got {share}")
    bought = np.flatnonzero(data.popularity)
    held = np.sort(np.random.default_rng(seed).permutation(bought)[: round(share * len(bought))])
    if not len(held):
        raise ValueError(f"share must hold out at least one of {len(bought)} items, got {share}")
    kept = (np.asarray(data.splits) == TEST) | ~np.isin(data.items, held)
    return with_interactions(data, kept), held


def cold_cases(data: Dataset, held: NDArray[np.int64]) -> Cases:
    """Test cases of the users who bought a held-out item; only these items are targets.

    Raises:
        ValueError: no test user bought a held-out item.
    """
    cases = data.cases("test")
    targets = [target[np.isin(target, held)] for target in cases.targets]
    chosen = np.flatnonzero([len(target) > 0 for target in targets])
    if not len(chosen):
        raise ValueError("test split must hold a purchase of a held-out item, got none")
    return replace(cases.select(chosen), targets=[targets[case] for case in chosen])


def _nearest(users: torch.Tensor, items: torch.Tensor, cases: Cases) -> NDArray[np.int32]:
    _, rows = exact_search(
        users.cpu().numpy(), items.cpu().numpy(), max(KS), exclude=cases.excluded
    )
    return rows


def compare(config: TowersConfig, root: Path, share: float) -> Mapping[str, Mapping[str, Interval]]:
    """Train the towers without the held-out items and measure their recall of these items.

    Args:
        config: Options of the towers.
        root: Folder of the dataset's stages.
        share: Share of the items to hold out, 0 to 1.

    Returns:
        Recall of the towers and of the untrained backbone, over the users who bought a held-out
        item, and the paired difference.
    """
    seed = config.training.seed
    data, held = hold_out(load_dataset(root / DATA), share, seed)
    cases = cold_cases(data, held)
    logger.info("%d items held out, bought by %d test users", len(held), len(cases))
    fingerprint = read_manifest(root / DATA, DATA).fingerprint
    folder = training_folder(root, "cold", asdict(config), fingerprint, share)
    module, _ = fit_towers(
        config,
        data,
        load_tokenizer(config.backbone),
        folder,
        valid=ValidationUsers.of(data).stop.sample(config.valid_users, 0),
        cache_below=root / "training",
    )
    items = module.embed_items()
    users = module.embed_users(items, cases.histories, cases.interaction_codes)
    untrained = Untrained.read(data, config, cache_below=root / "training")
    lists = {
        "towers": _nearest(users, items, cases),
        "untrained text": untrained.like_titles(cases, max(KS)),
    }
    values = {name: {k: recall(rows, cases.targets, k) for k in KS} for name, rows in lists.items()}
    figures: dict[str, Mapping[str, Interval]] = {
        name: {
            f"recall@{k}": mean_interval(shares, users=cases.user_rows, seed=seed)
            for k, shares in by_k.items()
        }
        for name, by_k in values.items()
    }
    first, second = values.values()
    figures["towers − untrained text"] = {
        f"recall@{k}": difference_interval(first[k], second[k], users=cases.user_rows, seed=seed)
        for k in KS
    }
    return figures

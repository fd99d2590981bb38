"""Recall of items that nobody bought in training.

A share of the items is held out: their purchases are removed from the training and the validation
split, and the towers are trained on the rest. Then the whole corpus is ranked for the test users
who bought a held-out item. The peer is the untrained backbone: the mean of the embeddings of the
last items' texts. Rare items and searches by words are measured on the same towers, and a
pre-trained backbone on request.
"""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from backbone.load import load_tokenizer, save_backbone
from backbone.training import training_folder
from benchmarks.quality.subsets import with_interactions
from benchmarks.quality.untrained import Untrained
from dataset.arrays import TEST, Dataset, load_dataset
from dataset.cases import Cases
from dataset.searching_cases import searching_cases
from dataset.validation_users import ValidationUsers
from evaluation.intervals import Interval, difference_interval, mean_interval
from evaluation.metrics import recall
from evaluation.search import exact_search
from lineage.manifest import read_manifest
from lineage.stages import BACKBONE, DATA
from pretraining.config import PretrainConfig
from pretraining.fitting import exported
from pretraining.source import Source
from pretraining.train import fit_backbone
from towers.config import TowersConfig
from towers.fit import fit_towers

logger = logging.getLogger(__name__)
KS = (10, 50, 100)
RARE = 5
"""Most training purchases of a rare item"""
COLD, RARE_ITEMS = "items held out", f"items bought at most {RARE} times"
SEARCHES = "searches by words"
Figures = Mapping[str, Mapping[str, Interval]]
"""Figures by system and metric"""


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


def rare_cases(data: Dataset) -> Cases:
    """Test cases of the users who bought a rare item; only these items are targets.

    Raises:
        ValueError: no test user bought a rare item.
    """
    rare = np.flatnonzero((data.popularity > 0) & (data.popularity <= RARE))
    return cold_cases(data, rare)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A dataset without the purchases of some items, and the cases that are measured on it."""

    root: Path
    """Folder of the dataset's stages"""
    data: Dataset
    held: NDArray[np.int64]
    """Items that were held out"""
    sections: Mapping[str, Cases]
    """Cases by what they show"""
    identity: tuple[str, float]
    """Fingerprint of the data, and the share that is held out"""

    @classmethod
    def of(cls, root: Path, share: float, seed: int) -> "Experiment":
        """Hold out a share of the items of a finished data stage."""
        data, held = hold_out(load_dataset(root / DATA), share, seed)
        sections = {COLD: cold_cases(data, held)}
        try:
            sections[RARE_ITEMS] = rare_cases(data)
        except ValueError:
            logger.info("no test user bought an item that was bought at most %d times", RARE)
        sections[SEARCHES] = searching_cases(data, data.cases("test"))
        users = len(sections[COLD])
        logger.info("%d items held out, bought by %d test users", len(held), users)
        fingerprint = read_manifest(root / DATA, DATA).fingerprint
        return cls(
            root=root, data=data, held=held, sections=sections, identity=(fingerprint, share)
        )

    def pretrained(self, config: PretrainConfig) -> str:
        """Folder of a backbone that is pre-trained without the held-out items and their texts."""
        place = training_folder(self.root, "cold-backbone", asdict(config), *self.identity)
        whole = place / BACKBONE
        if not whole.is_dir():
            source = Source.of_shop(self.data, window=config.window, left_out=self.held)
            module, _ = fit_backbone(config, source, place)
            partial = whole.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            save_backbone(partial, *exported(module, config))
            partial.rename(whole)
        return str(whole)

    def lists(self, config: TowersConfig) -> dict[str, dict[str, NDArray[np.int32]]]:
        """(cases, k) lists of towers trained on the data, and of their backbone, by section."""
        folder = training_folder(self.root, "cold", asdict(config), *self.identity)
        module, _ = fit_towers(
            config,
            self.data,
            load_tokenizer(config.backbone),
            folder,
            valid=ValidationUsers.of(self.data).stop.sample(config.valid_users, 0),
            cache_below=self.root / "training",
        )
        items = module.embed_items()
        untrained = Untrained.read(self.data, config, cache_below=self.root / "training")
        found = {}
        for section, cases in self.sections.items():
            users = module.embed_users(
                items, cases.histories, cases.interaction_codes, cases.searches
            )
            text = (
                untrained.like_searches(cases.searches, cases, max(KS))
                if cases.searching
                else untrained.like_titles(cases, max(KS))
            )
            found[section] = {"towers": _nearest(users, items, cases), "text": text}
        return found


def _nearest(users: torch.Tensor, items: torch.Tensor, cases: Cases) -> NDArray[np.int32]:
    _, rows = exact_search(
        users.cpu().numpy(), items.cpu().numpy(), max(KS), exclude=cases.excluded
    )
    return rows


def compare(
    config: TowersConfig, root: Path, share: float, pretraining: PretrainConfig | None = None
) -> Mapping[str, Figures]:
    """Train the towers without the held-out items and measure their recall of these items.

    Args:
        config: Options of the towers.
        root: Folder of the dataset's stages.
        share: Share of the items to hold out, 0 to 1.
        pretraining: Options of a backbone that is pre-trained without the held-out items, and on
            which towers are trained again; None compares none.

    Returns:
        Recall of the towers and of the untrained backbone, and the paired differences: of items
        held out, of rare ones, and of searches.
    """
    experiment, seed = Experiment.of(root, share, config.training.seed), config.training.seed
    own = experiment.lists(config)
    again: dict[str, dict[str, NDArray[np.int32]]] = {}
    if pretraining is not None:
        again = experiment.lists(replace(config, backbone=experiment.pretrained(pretraining)))
    figures = {}
    for section, cases in experiment.sections.items():
        lists = {"towers": own[section]["towers"], "untrained text": own[section]["text"]}
        pairs = [("towers", "untrained text")]
        if again:
            lists["pre-trained towers"] = again[section]["towers"]
            lists["pre-trained text"] = again[section]["text"]
            pairs += [("pre-trained towers", "towers"), ("pre-trained text", "untrained text")]
        figures[f"{section} ({len(cases):,} cases)"] = _figures(lists, pairs, cases, seed)
    return figures


def _figures(
    lists: Mapping[str, NDArray[np.int32]],
    pairs: Sequence[tuple[str, str]],
    cases: Cases,
    seed: int,
) -> Figures:
    """Recall of every list, and paired differences between some."""
    values = {name: {k: recall(rows, cases.targets, k) for k in KS} for name, rows in lists.items()}
    figures: dict[str, Mapping[str, Interval]] = {
        name: {
            f"recall@{k}": mean_interval(shares, users=cases.user_rows, seed=seed)
            for k, shares in by_k.items()
        }
        for name, by_k in values.items()
    }
    for first, second in pairs:
        figures[f"{first} − {second}"] = {
            f"recall@{k}": difference_interval(
                values[first][k], values[second][k], users=cases.user_rows, seed=seed
            )
            for k in KS
        }
    return figures

"""Towers that learn from a share of the users, from scratch and started from another shop."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backbone.load import load_tokenizer
from backbone.training import training_folder
from benchmarks.quality.config import BenchConfig
from benchmarks.quality.new_items import cold_cases, hold_out
from benchmarks.quality.subsets import with_interactions
from benchmarks.quality.systems import baselines
from dataset.arrays import Dataset, load_dataset
from dataset.baskets import Baskets
from dataset.cases import Cases
from dataset.validation_users import ValidationUsers
from evaluation.intervals import Interval, difference_interval, mean_interval
from evaluation.metrics import ndcg, recall
from evaluation.search import exact_search
from evaluation.summary import over_trainings
from lineage.manifest import read_manifest
from lineage.stages import DATA
from towers.categories import categories_of
from towers.config import TowersConfig
from towers.fit import fit_towers
from towers.start_from import require_other_shop

logger = logging.getLogger(__name__)
LISTED = 100
NDCG, RECALL, COLD = "NDCG@10", "recall@100", "recall@50 of new items"
SCRATCH, STARTED = "from scratch", "started from another shop"
Lists = NDArray[np.int32]
"""(draws, cases, LISTED) item rows"""
Figures = dict[str, dict[str, dict[str, Interval]]]
"""Figures by metric, share of the users and system"""


@dataclass(frozen=True, kw_only=True)
class Shares:
    """A shop without the purchases of some items, of which shares of the users are learnt."""

    root: Path
    data: Dataset
    cases: Cases
    """Test cases of all users"""
    cold: Cases
    """Test cases of the users who bought an item that was held out"""
    identity: tuple[str, float]

    @classmethod
    def of(cls, root: Path, held_out: float, seed: int) -> "Shares":
        """Hold out a share of the items of a finished data stage, and baskets without users."""
        data, held = hold_out(load_dataset(root / DATA), held_out, seed)
        data = replace(data, purchases_without_user=Baskets())
        return cls(
            root=root,
            data=data,
            cases=data.cases("test"),
            cold=cold_cases(data, held),
            identity=(read_manifest(root / DATA, DATA).fingerprint, held_out),
        )

    def drawn(self, share: float, seed: int) -> Dataset:
        """The shop with the purchases of a random share of the users alone."""
        rng = np.random.default_rng(seed)
        users = rng.permutation(self.data.users)[: round(share * self.data.users)]
        return with_interactions(self.data, np.isin(self.data.user_of, users))

    def lists(self, config: TowersConfig, few: Dataset, *draw: float) -> tuple[Lists, Lists]:
        """(1, cases, LISTED) lists of towers that learn from some users: all cases, cold cases."""
        stop = ValidationUsers.of(few).stop.sample(config.valid_users, 0)
        module, _ = fit_towers(
            config,
            few,
            load_tokenizer(config.backbone),
            training_folder(self.root, "few", asdict(config), *self.identity, *draw),
            valid=stop if len(stop) else None,
            cache_below=self.root / "training",
            categories=categories_of(config, self.root, len(few.item_ids)),
        )
        items = module.embed_items()
        found = []
        for cases in (self.cases, self.cold):
            users = module.embed_users(
                items, cases.histories, cases.interaction_codes, cases.searches
            )
            rows = exact_search(
                users.cpu().numpy(), items.cpu().numpy(), LISTED, exclude=cases.excluded
            )[1]
            found.append(rows[None])
        return found[0], found[1]


def measure(
    config: TowersConfig, root: Path, shares: Sequence[float], *, draws: int, held_out: float
) -> Figures:
    """Train on shares of the users, and score all users of the test split.

    Every figure is the mean over the draws of a share's users; its interval is over test users.

    Args:
        config: Options of the towers, with `start_from`.
        root: Folder of the dataset's stages.
        shares: Shares of the users whose purchases are learnt, 0 to 1.
        draws: Draws of the users of each share below 1.
        held_out: Share of the items whose purchases nobody learns.

    Raises:
        ValueError: `start_from` is missing or names this shop, or shares or draws are out of range.
    """
    if config.start_from is None:
        raise ValueError(
            "start_from must name the towers of another shop, got none; add "
            "--start_from=artifacts/another/towers"
        )
    if not shares:
        raise ValueError("shares must name a share of the users, got none")
    for share in shares:
        if not 0 <= share <= 1:
            raise ValueError(f"shares must be in [0, 1], got {share}")
    if draws < 1:
        raise ValueError(f"draws must be at least 1, got {draws}")
    shop, seed = Shares.of(root, held_out, config.training.seed), config.training.seed
    require_other_shop(config, shop.identity[0])
    figures: Figures = {NDCG: {}, RECALL: {}, COLD: {}}
    for share in shares:
        found = [_systems(config, shop, share, draw) for draw in range(_draws(share, draws))]
        for metric, chosen in figures.items():
            of_metric = {
                name: _values(metric, shop, [one[name] for one in found]) for name in found[0]
            }
            users = (shop.cold if metric == COLD else shop.cases).user_rows
            chosen[f"{share:.0%}"] = {
                name: mean_interval(values, users=users, seed=seed)
                for name, values in of_metric.items()
            } | {
                f"{STARTED} − {SCRATCH}": difference_interval(
                    of_metric[STARTED], of_metric[SCRATCH], users=users, seed=seed
                )
            }
        logger.info("%.0f%% of the users: %s", 100 * share, figures[NDCG][f"{share:.0%}"])
    return figures


def _draws(share: float, draws: int) -> int:
    return draws if 0 < share < 1 else 1


def _systems(
    config: TowersConfig, shop: Shares, share: float, draw: int
) -> Mapping[str, tuple[Lists, Lists]]:
    """Lists of every system that learns from one draw of a share of the users."""
    few = shop.drawn(share, draw)
    own = {
        SCRATCH: shop.lists(replace(config, start_from=None), few, share, draw),
        STARTED: shop.lists(config, few, share, draw),
    }
    peers = [
        baselines(BenchConfig(), few, cases, listed=LISTED) for cases in (shop.cases, shop.cold)
    ]
    return own | {name: (peers[0][name][None], peers[1][name][None]) for name in peers[0]}


def _values(metric: str, shop: Shares, draws: Sequence[tuple[Lists, Lists]]) -> NDArray[np.float64]:
    """(cases,) a metric of each case, the mean over draws."""
    if metric == COLD:
        return over_trainings(
            recall, np.concatenate([cold for _, cold in draws]), shop.cold.targets, 50
        )
    lists, targets = np.concatenate([alone for alone, _ in draws]), shop.cases.targets
    if metric == NDCG:
        return over_trainings(ndcg, lists, targets, 10)
    return over_trainings(recall, lists, targets, LISTED)

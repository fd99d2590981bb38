"""What the newest purchases are worth to towers and neighbour lists.

For several days, everything before the day is split off from the weeks after it, whose new items
are the targets. Towers and neighbour lists learn once from everything before the day, and once
without the newest days. Both recommend for the same histories, which are always complete.
"""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backbone.load import load_tokenizer
from backbone.training import training_folder
from benchmarks.quality.config import BenchConfig
from benchmarks.quality.subsets import with_interactions
from benchmarks.quality.systems import Lists, baselines
from dataset.arrays import TEST, TRAIN, VALID, Dataset, load_dataset
from dataset.cases import Cases, moment_starts
from dataset.interaction_codes import DAY, MICROSECONDS
from evaluation.intervals import Interval, difference_interval, mean_interval
from evaluation.metrics import ndcg, recall
from index.config import IndexConfig, NeighboursConfig
from index.faiss_store.build import build_index
from index.nearest import nearest_all
from index.pair_lists import Purchases, pair_lists
from index.recall_sources import RecallSources
from lineage.manifest import read_manifest
from lineage.stages import DATA
from towers.categories import categories_of
from towers.config import TowersConfig
from towers.fit import fit_towers
from towers.module import TowersModule

logger = logging.getLogger(__name__)
LISTED = 100
WITH, WITHOUT = "learnt", "not learnt"
Systems = Mapping[str, Mapping[str, Interval]]


def cut(data: Dataset, day: datetime, *, newest: int, tested: int) -> Dataset:
    """Split a dataset by time: test from a day on, the newest days before it as validation.

    So the dataset trains without the newest days, and its `for_refit` with them.

    Args:
        data: A dataset with times.
        day: First moment of the test.
        newest: Days before it that are held back from training.
        tested: Days of the test; later interactions are removed.

    Raises:
        ValueError: the dataset has no times, or no test or training interactions remain.
    """
    if not data.timed:
        raise ValueError("interactions must have times to be cut by time, got none")
    times = np.asarray(data.times)[moment_starts(data.user_of, np.asarray(data.moments))]
    start = round(day.timestamp() * MICROSECONDS)
    held, end = (start + days * DAY * MICROSECONDS for days in (-newest, tested))
    splits = np.where(times < held, TRAIN, np.where(times < start, VALID, TEST)).astype(np.uint8)
    made = with_interactions(data, times < end, splits)
    for split, name in ((TRAIN, "training"), (VALID, "newest days"), (TEST, "test")):
        if not (made.splits == split).any():
            raise ValueError(f"{name} must hold an interaction at the cut {day:%F}, got none")
    return made


def days_of(data: Dataset, cuts: int, tested: int) -> list[datetime]:
    """First days of as many tests as wanted, newest first; the newest test ends the data."""
    last = datetime.fromtimestamp(int(np.max(data.times)) / MICROSECONDS, UTC)
    after = last.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return [after - timedelta(days=tested * (test + 1)) for test in range(cuts)]


def recommended(
    module: TowersModule, data: Dataset, cases: Cases, config: NeighboursConfig
) -> Lists:
    """Lists of both sources merged, and of the towers alone.

    Args:
        module: Trained towers.
        data: The dataset that they were trained on.
        cases: Histories to recommend for.
        config: How the neighbour lists are made and merged; its weight is set.
    """
    items = module.embed_items()
    users = module.embed_users(items, cases.histories, cases.interaction_codes).cpu().numpy()
    neighbours, _ = pair_lists(config, data, Purchases.of(data))
    with tempfile.TemporaryDirectory() as scratch:
        exact = IndexConfig(kind="exact", gpus="none")
        sources = RecallSources.of(
            build_index(items.cpu().numpy(), exact, Path(scratch)),
            neighbours,
            temperature=float(module.average.temperature),
            config=config,
        )
        merged = sources.shortlists(users, cases.histories, LISTED, excluded=cases.excluded)
        towers = nearest_all(
            sources.index, users, cases.excluded, LISTED, allowed=[None for _ in cases.excluded]
        )
    return {
        "towers and neighbours": _padded([answer.rows for answer in merged]),
        "towers": _padded([rows for rows, _ in towers]),
    }


def compare(
    config: TowersConfig,
    root: Path,
    *,
    cuts: int,
    newest: int,
    tested: int,
    weight: float,
    towers: bool = True,
) -> dict[str, Systems]:
    """Train with and without the newest days before each test, and measure both on it.

    The number of epochs is `max_epochs`, for both.

    Args:
        config: Options of the towers.
        root: Folder of the dataset's stages; only the data stage is read.
        cuts: Number of tests, one after the other in time.
        newest: Days before each test that the second training does without.
        tested: Days of each test.
        weight: Weight of the neighbour lists.
        towers: Whether towers are trained; without, item-kNN and popularity are measured alone.

    Returns:
        For each first day of a test, and for all together: figures by system.
    """
    whole, fingerprint = load_dataset(root / DATA), read_manifest(root / DATA, DATA).fingerprint
    neighbours, tokenizer = NeighboursConfig(weight=weight), load_tokenizer(config.backbone)
    values: dict[str, list[Mapping[str, NDArray[np.float64]]]] = {}
    users: list[NDArray[np.int64]] = []
    figures: dict[str, Systems] = {}
    for day in days_of(whole, cuts, tested):
        without = cut(whole, day, newest=newest, tested=tested)
        cases = without.cases("test")
        for name, data in ((WITH, without.for_refit()), (WITHOUT, without)):
            answers = dict(baselines(BenchConfig(), data, cases, listed=LISTED))
            if towers:
                identity = (asdict(config), fingerprint, day.isoformat(), newest, tested, name)
                folder = training_folder(root, "newest", *identity)
                module, _ = fit_towers(
                    config,
                    data,
                    tokenizer,
                    folder,
                    cache_below=root / "training",
                    categories=categories_of(config, root, len(data.item_ids)),
                )
                answers |= recommended(module, data, cases, neighbours)
            for system, lists in answers.items():
                values.setdefault(f"{system}, {name}", []).append(_metrics(lists, cases))
        users.append(cases.user_rows)
        newest_values = {system: parts[-1:] for system, parts in values.items()}
        figures[f"{day:%F}"] = _summary(newest_values, users[-1:], newest)
        logger.info("%s: %d cases of %d users", day, len(cases), len(np.unique(users[-1])))
    figures["all"] = _summary(values, users, newest)
    return figures


def _metrics(lists: NDArray[np.int32], cases: Cases) -> Mapping[str, NDArray[np.float64]]:
    return {
        "ndcg@10": ndcg(lists, cases.targets, 10, cases.gains),
        "recall@10": recall(lists, cases.targets, 10),
        "recall@100": recall(lists, cases.targets, LISTED),
    }


def _summary(
    values: Mapping[str, Sequence[Mapping[str, NDArray[np.float64]]]],
    users: Sequence[NDArray[np.int64]],
    newest: int,
) -> Systems:
    """Means of every system and paired differences, with intervals over the users of all tests."""
    of = np.concatenate(users)
    joined = {
        system: {metric: np.concatenate([part[metric] for part in parts]) for metric in parts[0]}
        for system, parts in values.items()
    }
    systems = {
        system: {metric: mean_interval(column, users=of) for metric, column in columns.items()}
        for system, columns in joined.items()
    }
    for system, theirs in joined.items():
        name = system.removesuffix(f", {WITHOUT}")
        if name != system:
            ours = joined[f"{name}, {WITH}"]
            systems[f"{name}: newest {newest} days"] = {
                metric: difference_interval(ours[metric], theirs[metric], users=of)
                for metric in ours
            }
    return systems


def _padded(lists: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    """(lists, LISTED) rows, -1 after the end of a shorter list."""
    padded = np.full((len(lists), LISTED), -1, np.int32)
    for row, items in zip(padded, lists, strict=True):
        row[: len(items)] = items[:LISTED]
    return padded

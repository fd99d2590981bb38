"""Recall of both sources, without the ranker.

Compares exact search over the whole corpus, at every width that the towers were trained for, with
item-kNN, the untrained backbone and peers' saved lists. Also measures searches for some words of
the target's title.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.quality.config import BenchConfig
from benchmarks.quality.figures import RARE
from benchmarks.quality.systems import Lists, baselines, evaluated_cases, peers
from benchmarks.quality.untrained import Untrained
from dataset.arrays import Dataset, load_dataset
from dataset.cases import Cases
from dataset.searching_cases import some_words
from evaluation.intervals import Interval, difference_interval, mean_interval
from evaluation.metrics import ndcg, recall
from evaluation.search import exact_search
from lineage.cli import finished_config
from lineage.open_release import open_evaluated
from lineage.stages import DATA, RETRIEVAL, TOWERS
from retrieval.retriever import Retriever
from towers.config import TowersConfig

logger = logging.getLogger(__name__)
LISTED = 200
RECALL_AT = (10, 100, 200)
SEARCHING = 2_000
"""Largest number of users whose searches are measured"""
Values = Mapping[str, NDArray[np.float64]]


def own_lists(retriever: Retriever, cases: Cases, widths: Sequence[int]) -> Lists:
    """Lists of exact search with the towers at each width, and of both sources merged."""
    items = retriever.sources.index.vectors(np.arange(len(retriever.sources.index), dtype=np.int32))
    users = np.stack(
        [
            retriever.embed(history, {}, interaction_codes=interaction_codes)
            for history, interaction_codes in tqdm(
                zip(cases.histories, cases.interaction_codes, strict=True),
                "embed",
                len(cases),
                unit="user",
                leave=False,
            )
        ]
    )
    lists = {}
    for width in (items.shape[1], *sorted(widths, reverse=True)):
        name = "towers" if width == items.shape[1] else f"towers, first {width} of {len(items[0])}"
        lists[name] = exact_search(
            _unit(users[:, :width]), _unit(items[:, :width]), LISTED, exclude=cases.excluded
        )[1]
    merged = np.full((len(cases), LISTED), -1, np.int32)
    for user, history in enumerate(tqdm(cases.histories, "merge", unit="user", leave=False)):
        found = retriever.sources.shortlist(
            users[user],
            history,
            LISTED,
            interaction_codes=cases.interaction_codes[user],
            excluded=cases.excluded[user],
            when=cases.when(user),
        )
        merged[user, : len(found.rows)] = found.rows
    return {**lists, "towers and neighbours": merged}


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled


def values(data: Dataset, lists: NDArray[np.int32], cases: Cases) -> Values:
    """Figures of each user, (users,); rare recall is NaN for users without a rare target.

    Lists shorter than k, such as peers' saved lists, have no recall@k.
    """
    figures = {
        f"recall@{k}": recall(lists, cases.targets, k) for k in RECALL_AT if k <= lists.shape[1]
    }
    rare = [targets[data.popularity[targets] <= RARE] for targets in cases.targets]
    chosen = np.flatnonzero([len(targets) > 0 for targets in rare])
    rare_recall = np.full(len(cases), np.nan)
    if len(chosen):
        rare_recall[chosen] = recall(lists[chosen], [rare[user] for user in chosen], 100)
    return {
        **figures,
        "ndcg@10": ndcg(lists, cases.targets, 10, cases.gains),
        "rare recall@100": rare_recall,
    }


def score(config: BenchConfig, dataset: str, root: Path) -> dict[str, dict[str, Interval]]:
    """Score finished towers and index stages over test users.

    Args:
        config: Users to score and options of the baselines.
        dataset: Name of the dataset, or its source folder, which may hold peers' saved lists.
        root: Folder of the dataset's stages.

    Returns:
        Figures of every system, and paired differences between some of them.

    Raises:
        ArtifactError: a stage is missing, corrupt or made from other inputs.
        ValueError: the test split has no user to score.
    """
    open_evaluated(root, RETRIEVAL)
    data = load_dataset(root / DATA).for_refit()
    cases = evaluated_cases(config, data, Path(dataset))
    logger.info("scoring %d users of the test split, history excluded", len(cases))
    trained = finished_config(root, TOWERS, TowersConfig)
    untrained = Untrained.read(data, trained, cache_below=root / "training")
    retriever = Retriever.load(root)
    lists = {
        **baselines(config, data, cases, listed=LISTED),
        **peers(data, cases, Path(dataset)),
        "untrained text": untrained.like_titles(cases, LISTED),
        **own_lists(retriever, cases, trained.widths),
    }
    by_user = {name: values(data, rows, cases) for name, rows in lists.items()}
    systems = {name: _means(figures, cases, config.seed) for name, figures in by_user.items()}
    for ours, theirs in (
        ("towers", "item-knn"),
        ("towers", "untrained text"),
        ("towers and neighbours", "towers"),
    ):
        systems[f"{ours} − {theirs}"] = {
            metric: _difference(by_user[ours][metric], by_user[theirs][metric], cases, config.seed)
            for metric in systems[ours]
        }
    searching = one_target(cases.sample(SEARCHING, config.seed), config.seed)
    for name, rows in search_lists(retriever, untrained, data, searching, config.seed).items():
        figures = values(data, rows, searching)
        systems[f"{name} ({len(searching):,} users, one target each)"] = _means(
            figures, searching, config.seed
        )
    return systems


def one_target(cases: Cases, seed: int) -> Cases:
    """The same users, each with one random target."""
    rng = np.random.default_rng(seed)
    targets = [rng.choice(targets, 1) for targets in cases.targets]
    return replace(cases, targets=targets, gains=None)


def search_lists(
    retriever: Retriever, untrained: Untrained, data: Dataset, cases: Cases, seed: int
) -> Lists:
    """Lists for searches by consecutive words of the target's title, with and without a history.

    Args:
        retriever: The towers.
        untrained: The untrained backbone.
        data: Titles.
        cases: Users with one target each.
        seed: Seed of the choice of words.
    """
    rng = np.random.default_rng(seed)
    searches = [some_words(data.titles[int(target)], rng) for (target,) in cases.targets]
    empty = [cases.histories[0][:0]] * len(cases)
    shoppers = {
        "search alone": (empty, empty),
        "search and history": (cases.histories, cases.interaction_codes),
    }
    items = retriever.sources.index.vectors(np.arange(len(data.item_ids), dtype=np.int32))
    lists = {"search alone, untrained text": untrained.like_searches(searches, cases, LISTED)}
    for name, (histories, interaction_codes) in shoppers.items():
        inputs = zip(histories, interaction_codes, searches, strict=True)
        embeddings = np.stack(
            [
                retriever.embed(history, {}, interaction_codes=codes, search=search)
                for history, codes, search in tqdm(
                    inputs, name, len(cases), unit="user", leave=False
                )
            ]
        )
        lists[f"{name}, towers"] = exact_search(embeddings, items, LISTED, exclude=cases.excluded)[
            1
        ]
        lists[name] = np.full((len(cases), LISTED), -1, np.int32)
        recalled = retriever.sources.shortlists(
            embeddings,
            histories,
            LISTED,
            uses_neighbours=[False] * len(cases),
            excluded=cases.excluded,
            searches=searches,
        )
        for case, found in enumerate(recalled):
            lists[name][case, : len(found.rows)] = found.rows
    return lists


def _means(figures: Values, cases: Cases, seed: int) -> dict[str, Interval]:
    """Mean of each figure over the cases that have it; omits figures that no case has."""
    known = {metric: np.flatnonzero(~np.isnan(column)) for metric, column in figures.items()}
    return {
        metric: mean_interval(figures[metric][having], users=cases.user_rows[having], seed=seed)
        for metric, having in known.items()
        if len(having)
    }


def _difference(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], cases: Cases, seed: int
) -> Interval:
    known = ~np.isnan(ours)
    return difference_interval(ours[known], theirs[known], users=cases.user_rows[known], seed=seed)

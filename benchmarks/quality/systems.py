"""The systems that a benchmark compares, and the test cases that they are scored on."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.quality import lambdarank
from benchmarks.quality.cascade_lists import LISTED, CascadeLists
from benchmarks.quality.config import BenchConfig
from benchmarks.quality.saved_lists import evaluation_users, saved_lists
from dataset.arrays import Dataset, load_dataset
from dataset.cases import Cases
from dataset.interaction_codes import history_weights
from dataset.list_cases import list_cases
from dataset.training_examples import training_examples
from evaluation.baselines import ItemKNN, popularity_lists
from lineage.stages import DATA, SHORTLISTS
from ranker.shortlists import Shortlists
from retrieval.features import Features
from serving.engine.engine import Engine

TRAININGS = 5
"""Trainings of LambdaRank where they differ by seed; figures are means over them"""
Lists = Mapping[str, NDArray[np.int32]]
"""(cases, k) or (trainings, cases, k) item rows of every system, by name"""


def evaluated_cases(config: BenchConfig, data: Dataset, folder: Path) -> Cases:
    """Test cases of the users that the dataset names, or a seeded sample.

    Raises:
        ValueError: no user is left.
    """
    cases = cases_of(config, data, folder)
    if not len(cases):
        raise ValueError("test split must hold a user with a history and a new item, got none")
    return cases


def cases_of(config: BenchConfig, data: Dataset, folder: Path) -> Cases:
    """`evaluated_cases`, maybe none."""
    cases = data.cases("test")
    named = evaluation_users(folder)
    if named is None:
        cases = cases.sample_users(config.max_users, config.seed)
    else:
        order = {user: at for at, user in enumerate(named)}
        places = [order.get(data.user_ids[int(row)], -1) for row in cases.user_rows]
        chosen = np.argsort(places, kind="stable")[np.sum(np.array(places) < 0) :]
        cases = cases.select(chosen.astype(np.int64))
    return cases


def baselines(config: BenchConfig, data: Dataset, cases: Cases, *, listed: int = LISTED) -> Lists:
    """Lists of popularity and item-kNN, both fitted on the towers' training data."""
    training = training_examples(data)
    knn = ItemKNN.fit(
        training.user_starts,
        training.items,
        len(data.item_ids),
        shrinkage=config.shrinkage,
        strengths=training.strengths,
    )
    weights = [history_weights(data.weight_of_action, codes) for codes in cases.interaction_codes]
    ones = [np.ones(len(history), np.float32) for history in cases.histories]
    return {
        "popularity": popularity_lists(data.popularity, cases.excluded, listed),
        "item-knn": knn.lists(
            cases.histories,
            listed,
            decay=config.decay,
            weights=[one if of is None else of for of, one in zip(weights, ones, strict=True)],
            excluded=cases.excluded,
        ),
    }


def boosted(
    config: BenchConfig,
    root: Path,
    engine: Engine,
    data: Dataset,
    *,
    own: CascadeLists,
    cases: Cases,
) -> NDArray[np.int32] | None:
    """(trainings, cases, shortlist) shortlists in LambdaRank's order; None without training lists.

    LambdaRank is trained on the ranker's training lists. If LightGBM bins features by a random
    sample, its quality depends on that sample, so it is trained several times.
    """
    shortlists = Shortlists.load(root / SHORTLISTS)
    valid = list_cases(load_dataset(root / DATA)).at(shortlists.places)
    if shortlists.lacking(valid.user_rows):
        return None
    sources = engine.cascade.retriever.sources
    features = Features.load(root, sources, data.popularity)
    size, trainings = shortlists.rows.shape[1], TRAININGS if lambdarank.drawn(shortlists) else 1
    seeds = range(config.seed, config.seed + trainings)
    lists = []
    for case, history in enumerate(tqdm(cases.histories, desc="features", unit="user")):
        now, times = when = cases.when(case)
        recalled = sources.shortlist(
            own.users[case],
            history,
            size,
            interaction_codes=cases.interaction_codes[case],
            uses_neighbours=not cases.search(case),
            excluded=cases.excluded[case],
            when=when,
            search=cases.search(case),
        )
        columns = features(
            history,
            recalled,
            now=now,
            times=times,
            interaction_codes=cases.interaction_codes[case],
        )
        lists.append((recalled.rows, columns))
    return np.stack(
        [
            lambdarank.rank(lambdarank.fit(shortlists, valid.targets, seed), lists, size)
            for seed in tqdm(seeds, desc="lambdarank", unit="training")
        ]
    )


def peers(data: Dataset, cases: Cases, folder: Path) -> Lists:
    """Peers' lists that are saved with the dataset, if any."""
    return saved_lists(
        folder,
        user_ids=[data.user_ids[int(row)] for row in cases.user_rows],
        item_ids=data.item_ids,
        excluded=cases.excluded,
    )

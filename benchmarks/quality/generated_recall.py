"""What a decoder generates: alone beside peers, and as one more recall source."""

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.quality.config import BenchConfig
from benchmarks.quality.systems import Lists, baselines, evaluated_cases, peers
from dataset.arrays import load_dataset
from dataset.cases import Cases
from evaluation.intervals import Interval, difference_interval, mean_interval
from evaluation.metrics import ndcg, recall
from generative.artifact import WEIGHT, load_generator
from generative.weight import WEIGHTS
from index.generated import Generated, Generates
from index.recall_sources import RecallSources
from lineage.manifest import read_manifest
from lineage.open_release import open_evaluated
from lineage.stages import DATA, GENERATIVE, RETRIEVAL
from retrieval.retriever import ResolvedShopper, Retriever

logger = logging.getLogger(__name__)
LISTED = 200
RECALL_AT = (10, 50, 100, 200)
GENERATED, WITHOUT, WITH = "generated alone", "other sources", "other sources and generated"
PEERS = ("sasrec", "gru4rec", "item-knn")
"""Systems that generated items are compared with, where there are lists of them"""


def score(config: BenchConfig, dataset: str, root: Path) -> dict[str, dict[str, Interval]]:
    """Score generated items over test users, alone and merged, history excluded.

    A source that the stage turned off is merged with the least weight that was tried, so that its
    figures are known, too.

    Args:
        config: Users to score and options of item-kNN.
        dataset: Name of the dataset, or its source folder, which may hold peers' saved lists.
        root: Folder of the dataset's stages, the generative one among them.

    Returns:
        Figures of every system, and paired differences.

    Raises:
        ArtifactError: a stage is missing, corrupt or made from other inputs.
        ValueError: the test split has no user to score.
    """
    open_evaluated(root, (*RETRIEVAL, GENERATIVE))
    data = load_dataset(root / DATA).for_refit()
    cases = evaluated_cases(config, data, Path(dataset))
    logger.info("scoring %d users of the test split, history excluded", len(cases))
    generate = load_generator(root)
    weight = read_manifest(root / GENERATIVE, GENERATIVE).facts[WEIGHT] or WEIGHTS[1]
    lists = {
        **peers(data, cases, Path(dataset)),
        "item-knn": baselines(config, data, cases, listed=LISTED)["item-knn"],
        GENERATED: generated_lists(generate, cases),
        **merged_lists(Retriever.load(root), Generated(generate=generate, weight=weight), cases),
    }
    by_user = {name: _values(rows, cases) for name, rows in lists.items()}
    systems = {
        name: {
            metric: mean_interval(column, users=cases.user_rows, seed=config.seed)
            for metric, column in figures.items()
        }
        for name, figures in by_user.items()
    }
    for ours, theirs in ((WITH, WITHOUT), *((GENERATED, name) for name in lists if name in PEERS)):
        systems[f"{ours} − {theirs}"] = {
            metric: difference_interval(
                by_user[ours][metric], column, users=cases.user_rows, seed=config.seed
            )
            for metric, column in by_user[theirs].items()
        }
    return systems


def generated_lists(generate: Generates, cases: Cases) -> NDArray[np.int32]:
    """(cases, listed) what is generated alone, best first, -1 for none; logs the time of one."""
    found = np.full((len(cases), LISTED), -1, np.int32)
    started = time.perf_counter()
    for case in tqdm(range(len(cases)), "generate", unit="user", leave=False):
        ((rows, _),) = generate([cases.histories[case]], [cases.excluded[case]], [None], LISTED)
        found[case, : len(rows)] = rows
    each = 1e3 * (time.perf_counter() - started) / len(cases)
    logger.info("%d items generated in %.1f ms for one shopper, mean", LISTED, each)
    return found


def merged_lists(retriever: Retriever, generated: Generated, cases: Cases) -> Lists:
    """Shortlists of the other sources, and of all sources."""
    stage_times: dict[str, float] = {}
    shoppers = [
        ResolvedShopper(history=history, interaction_codes=codes)
        for history, codes in zip(cases.histories, cases.interaction_codes, strict=True)
    ]
    users = np.concatenate(
        [
            retriever.embed_all(shoppers[start : start + LISTED], stage_times)
            for start in range(0, len(shoppers), LISTED)
        ]
    )
    others = replace(retriever.sources, generated=None)
    return {
        WITHOUT: _shortlists(others, users, cases),
        WITH: _shortlists(replace(others, generated=generated), users, cases),
    }


def _shortlists(
    sources: RecallSources, users: NDArray[np.float32], cases: Cases
) -> NDArray[np.int32]:
    found = np.full((len(cases), LISTED), -1, np.int32)
    for case in tqdm(range(len(cases)), "merge", unit="user", leave=False):
        shortlist = sources.shortlist(
            users[case],
            cases.histories[case],
            LISTED,
            interaction_codes=cases.interaction_codes[case],
            excluded=cases.excluded[case],
            when=cases.when(case),
        )
        found[case, : len(shortlist)] = shortlist.rows
    return found


def _values(lists: NDArray[np.int32], cases: Cases) -> Mapping[str, NDArray[np.float64]]:
    """Figures of each case, (cases,); of lists shorter than k, all items count."""
    return {
        **{f"recall@{k}": recall(lists, cases.targets, k) for k in RECALL_AT},
        "ndcg@10": ndcg(lists, cases.targets, 10, cases.gains),
    }

"""Scores every system over the same test users and writes the report."""

import logging
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.quality import lambdarank
from benchmarks.quality.cascade_lists import LISTED, CascadeLists, cascade_lists, history_shopper
from benchmarks.quality.config import BenchConfig
from benchmarks.quality.saved_lists import LISTS, USERS, evaluation_users, saved_lists
from benchmarks.report.report import Example, Report, make_example, write_report
from dataset.arrays import Cases, Dataset, load_dataset
from dataset.training_examples import training_points
from evaluation.baselines import ItemKNN, popularity_lists
from evaluation.intervals import Interval, mean_interval
from evaluation.metrics import ndcg, recall
from evaluation.summary import compare, over_trainings, summarise
from lineage.manifest import checksum, read_manifest
from lineage.open_release import open_release
from lineage.stages import CASCADE, SHORTLISTS
from ranker.shortlists import Shortlists
from retrieval.features import Features
from serving.engine.engine import Engine, EngineConfig
from shortlist_client.api.request import Wishes

logger = logging.getLogger(__name__)
RARE = 5
"""Training purchases of a rare item at most."""
SHORT = 3
"""Items of a short history at most."""
SHOWN = 10
LENGTHS = (0, 10, 20, 50, 100)
"""Candidates ranked, fewer than are."""
TIMED = 100
"""Users whose requests are timed for each."""
TRAININGS = 5
"""Of LambdaRank, where they differ; figures are means over them"""
Lists = Mapping[str, NDArray[np.int32]]
"""Of every system, (users, k) item rows, or (trainings, users, k)"""


def benchmark(config: BenchConfig, dataset: str, root: Path, folder: Path) -> Report:
    """Score a finished release, and write `report.json` and `report.html`.

    Args:
        config: Whom to score.
        dataset: Name or folder that the data came from; it may hold peers' saved lists.
        root: Folder of the dataset's stages.
        folder: Where the report goes.

    Raises:
        ArtifactError: the release is incomplete, corrupt or mixed.
        ValueError: the test split leaves nobody to score.
    """
    started = time.monotonic()
    data = load_dataset(root / "data").for_refit()
    cases = evaluated_cases(config, data, Path(dataset))
    logger.info("scoring %d users of the test split, history excluded", len(cases))
    systems = {**baselines(config, data, cases), **peers(data, cases, Path(dataset))}
    engine = Engine.load(root, EngineConfig())
    own = cascade_lists(engine, data, cases)
    systems |= {
        "lambdarank": boosted(config, root, engine, data, own=own, cases=cases)[..., :LISTED],
        "towers": own.towers,
        "shortlist": own.shortlist[:, :LISTED],
        "cascade": own.cascade[:, :LISTED],
    }
    logger.info("median ms a request: %s", {k: round(v, 1) for k, v in own.milliseconds.items()})
    seconds = {stage: read_manifest(root / stage, stage).seconds for stage in CASCADE}
    report = Report(
        dataset=root.name,
        users=len(cases),
        history="excluded",
        systems={
            name: summarise(lists, cases.targets, len(data.item_ids), config.seed)
            for name, lists in systems.items()
        },
        seconds={**seconds, "bench": round(time.monotonic() - started, 1)},
        machine=_machine(),
        command=f"make bench DATASET={root.name if root.name == dataset else dataset}",
        decomposition=decomposition(config, root, own, cases),
        by_length=by_length(config, engine, data, own, cases),
        paired=paired(config, systems, cases),
        slices=slices(config, data, systems, cases),
        examples=examples(config, data, cases, own),
        made_from=made_from(config, dataset, root),
    )
    write_report(folder, report)
    return report


def made_from(config: BenchConfig, dataset: str, root: Path) -> dict[str, Any]:
    """Everything that the figures depend on, by fingerprint or checksum."""
    saved = [Path(dataset) / name for name in (USERS, LISTS)]
    return {
        "release": open_release(root).versions,
        "options": {**asdict(config), "lambdarank trainings": TRAININGS},
        "saved": {path.name: checksum(path) for path in saved if path.is_file()},
    }


def evaluated_cases(config: BenchConfig, data: Dataset, folder: Path) -> Cases:
    """Test cases of the users that the dataset names, or of a seeded sample.

    Raises:
        ValueError: none is left.
    """
    cases = data.cases("test")
    named = evaluation_users(folder)
    if named is None:
        cases = cases.sample(config.max_users, config.seed)
    else:
        position = {data.user_ids[int(row)]: at for at, row in enumerate(cases.user_rows)}
        cases = cases.select(np.array([position[u] for u in named if u in position], np.int64))
    if not len(cases):
        raise ValueError("test split must hold a user with a history and a new item, got none")
    return cases


def baselines(config: BenchConfig, data: Dataset, cases: Cases, *, listed: int = LISTED) -> Lists:
    """Popularity and item-kNN, both fitted on what the towers learn from."""
    training = training_points(data)
    knn = ItemKNN.fit(
        training.user_starts, training.items, len(data.item_ids), shrinkage=config.shrinkage
    )
    return {
        "popularity": popularity_lists(data.popularity, cases.histories, listed),
        "item-knn": knn.lists(cases.histories, listed, decay=config.decay),
    }


def boosted(
    config: BenchConfig,
    root: Path,
    engine: Engine,
    data: Dataset,
    *,
    own: CascadeLists,
    cases: Cases,
) -> NDArray[np.int32]:
    """(trainings, users, shortlist) shortlists as LambdaRank orders them.

    It learns from the lists that the ranker learns from. How good it gets hangs on the sample by
    which LightGBM bins what it reads, so it is trained several times where there is one.
    """
    shortlists = Shortlists.load(root / SHORTLISTS)
    learnt = load_dataset(root / "data").cases("valid").of_users(shortlists.users)
    sources = engine.cascade.retriever.sources
    features = Features.load(root, sources, data.popularity)
    size, trainings = shortlists.rows.shape[1], TRAININGS if lambdarank.drawn(shortlists) else 1
    seeds = range(config.seed, config.seed + trainings)
    lists = []
    for case, history in enumerate(tqdm(cases.histories, desc="features", unit="user")):
        found = sources.shortlist(own.users[case], history, size)
        lists.append((found.rows, features(history, found)))
    return np.stack(
        [
            lambdarank.rank(lambdarank.fit(shortlists, learnt.targets, seed), lists, size)
            for seed in tqdm(seeds, desc="lambdarank", unit="training")
        ]
    )


def paired(config: BenchConfig, systems: Lists, cases: Cases) -> dict[str, Mapping[str, Interval]]:
    """Differences over the same users that say whether a stage pays."""
    return {
        f"{first} − {second}": compare(systems[first], systems[second], cases.targets, config.seed)
        for first, second in (
            ("cascade", "shortlist"),
            ("cascade", "towers"),
            ("cascade", "lambdarank"),
            ("cascade", "item-knn"),
            ("towers", "item-knn"),
        )
    }


def slices(
    config: BenchConfig, data: Dataset, systems: Lists, cases: Cases
) -> dict[str, dict[str, Interval]]:
    """recall@100 where targets are rare or not, and where histories are short or not.

    A user whose targets are of both kinds is in both slices, each time with the targets of that
    kind.
    """
    rare = [data.popularity[targets] <= RARE for targets in cases.targets]
    short = [
        np.full(len(targets), len(history) <= SHORT)
        for history, targets in zip(cases.histories, cases.targets, strict=True)
    ]
    kinds = {
        f"targets bought at most {RARE} times": rare,
        f"targets bought more than {RARE} times": [~chosen for chosen in rare],
        f"histories of at most {SHORT} items": short,
        f"histories of more than {SHORT} items": [~chosen for chosen in short],
    }
    found = {}
    for kind, chosen in kinds.items():
        users = np.flatnonzero([kept.any() for kept in chosen])
        if len(users):
            targets = [cases.targets[user][chosen[user]] for user in users]
            found[f"{kind} ({len(users):,} users)"] = {
                name: mean_interval(
                    over_trainings(recall, lists[..., users, :], targets, LISTED),
                    seed=config.seed,
                )
                for name, lists in systems.items()
            }
    return found


def decomposition(
    config: BenchConfig, root: Path, own: CascadeLists, cases: Cases
) -> dict[str, Interval]:
    """Share of the targets that is still there after each step."""
    ranked = read_manifest(root / "ranker", "ranker").config["ranked"]
    steps = {
        f"recalled by the towers ({LISTED})": recall(own.towers, cases.targets, LISTED),
        f"recalled by both sources ({LISTED})": recall(own.shortlist, cases.targets, LISTED),
        f"read by the ranker ({ranked})": recall(own.shortlist, cases.targets, ranked),
        "shown (10), ranker": recall(own.cascade, cases.targets, 10),
        "shown (10), shortlist": recall(own.shortlist, cases.targets, 10),
    }
    return {name: mean_interval(values, seed=config.seed) for name, values in steps.items()}


def by_length(
    config: BenchConfig, engine: Engine, data: Dataset, own: CascadeLists, cases: Cases
) -> dict[str, Interval]:
    """NDCG@10 of the cascade that ranks fewer candidates, beside the median time of a request.

    A candidate's score does not hang on which others are ranked, so the lists follow from those of
    the whole head; times are taken anew.
    """
    lengths = [length for length in LENGTHS if length < engine.ranked] + [engine.ranked]
    shoppers = [history_shopper(data, user) for user in cases.user_rows[:TIMED].tolist()]
    wishes = Wishes(limit=10)
    found = {}
    for length in lengths:
        milliseconds = [
            engine.recommend(shopper, wishes, ranked=length).milliseconds["total"]
            for shopper in shoppers
        ]
        shown = np.stack(
            [
                head_ranked(recalled, ranked, length)
                for recalled, ranked in zip(own.shortlist, own.cascade, strict=True)
            ]
        )
        label = f"{length} ranked, {np.median(milliseconds):.1f} ms"
        found[label] = mean_interval(ndcg(shown, cases.targets, SHOWN), seed=config.seed)
    return found


def head_ranked(
    shortlist: NDArray[np.int32], ranked: NDArray[np.int32], length: int
) -> NDArray[np.int32]:
    """The first 10 of a shortlist whose head alone is in the ranker's order."""
    items = np.concatenate([ranked[np.isin(ranked, shortlist[:length])], shortlist[length:]])
    found = items[items >= 0][:SHOWN]
    return np.pad(found, (0, SHOWN - len(found)), constant_values=-1)


def examples(config: BenchConfig, data: Dataset, cases: Cases, own: CascadeLists) -> list[Example]:
    """Lists of a seeded choice of users, hits and misses as they come."""
    chosen = np.random.default_rng(config.seed).permutation(len(cases))[: config.examples]
    found = []
    for case in chosen.tolist():
        items = own.answers[case].items
        recalled = sorted(items, key=lambda item: item.shortlist_rank or 0)
        found.append(
            make_example(
                data.user_ids[int(cases.user_rows[case])],
                data.titles,
                history=cases.histories[case],
                targets=cases.targets[case],
                shortlist=(
                    own.shortlist[case][: len(items)],
                    [item.tower_score or 0.0 for item in recalled],
                ),
                final=(own.cascade[case][: len(items)], [item.score for item in items]),
            )
        )
    return found


def peers(data: Dataset, cases: Cases, folder: Path) -> Lists:
    """Lists that peers' own models left beside the dataset, where it has some."""
    return saved_lists(
        folder,
        user_ids=[data.user_ids[int(row)] for row in cases.user_rows],
        item_ids=data.item_ids,
        histories=cases.histories,
    )


def _machine() -> str:
    model: Any = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text().splitlines()
        model = next((x.split(": ")[1] for x in lines if x.startswith("model name")), model)
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    )

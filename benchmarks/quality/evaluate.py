"""Scores every system over the same test users and writes the report."""

import logging
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.quality import lambdarank
from benchmarks.quality.cascade_lists import LISTED, CascadeLists, cascade_lists, case_shoppers
from benchmarks.quality.config import BenchConfig
from benchmarks.quality.repeated import by_repeat, come_back
from benchmarks.quality.saved_lists import LISTS, USERS, evaluation_users, saved_lists
from benchmarks.quality.timed_peers import TIMED_PEERS, buy_again, timed_peers
from benchmarks.quality.unmeasured import NO_CASES, NO_TREES, stage_notes
from benchmarks.report.report import Example, Report, make_example, write_report
from dataset.arrays import Dataset, load_dataset
from dataset.cases import Cases
from dataset.interaction_codes import history_weights
from dataset.training_examples import training_examples
from evaluation.baselines import ItemKNN, popularity_lists
from evaluation.intervals import Interval, mean_interval, ratio_interval
from evaluation.metrics import ndcg, recall
from evaluation.summary import compare, over_trainings, summarise
from lineage.manifest import checksum, read_manifest
from lineage.open_release import open_evaluated
from lineage.stages import CASCADE, DATA, RANKER, SHORTLISTS
from ranker.shortlists import Shortlists
from retrieval.features import Features
from serving.engine.engine import Engine, EngineConfig
from shortlist_client.api.request import Wishes

logger = logging.getLogger(__name__)
RARE = 5
"""Most training purchases of a rare item."""
SHORT = 3
"""Most items of a short history."""
SHOWN = 10
LENGTHS = (0, 10, 20, 50, 100)
"""Numbers of candidates to rank in `by_length`, if below the engine's own."""
TIMED = 100
"""Users whose requests are timed for each number of candidates."""
TRAININGS = 5
"""Trainings of LambdaRank where they differ by seed; figures are means over them"""
COMPARED = (
    ("cascade", "shortlist"),
    ("cascade", "towers"),
    ("cascade", "lambdarank"),
    ("cascade", "item-knn"),
    ("towers", "item-knn"),
)
"""Pairs of systems whose differences the report shows"""
Lists = Mapping[str, NDArray[np.int32]]
"""(cases, k) or (trainings, cases, k) item rows of every system, by name"""


def benchmark(config: BenchConfig, dataset: str, root: Path, folder: Path) -> Report:
    """Score a finished release and write `report.json` and `report.html`.

    Args:
        config: Users to score and options of the baselines.
        dataset: Name of the dataset, or its source folder, which may hold peers' saved lists.
        root: Folder of the dataset's stages.
        folder: Folder of the report.

    Raises:
        ArtifactError: the release is incomplete, corrupt or mixed.
    """
    started = time.monotonic()
    open_evaluated(root)
    data = load_dataset(root / DATA).for_refit()
    cases, notes = _cases(config, data, Path(dataset)), stage_notes(root)
    users = len(np.unique(cases.user_rows))
    logger.info("scoring %d moments of %d users, %s", len(cases), users, notes[0])
    report = Report(
        dataset=root.name,
        users=users,
        cases=len(cases),
        notes=notes,
        history="included" if come_back(cases) else "excluded",
        systems={},
        seconds={stage: read_manifest(root / stage, stage).seconds for stage in CASCADE},
        machine=_machine(),
        command=f"make bench DATASET={root.name if root.name == dataset else dataset}",
        made_from=made_from(config, dataset, root),
    )
    if len(cases):
        report = _scored(report, config, data=data, cases=cases, dataset=dataset, root=root)
    else:
        logger.warning(NO_CASES)
        report = replace(report, notes=(*notes, NO_CASES))
    seconds = {**report.seconds, "bench": round(time.monotonic() - started, 1)}
    report = replace(report, seconds=seconds)
    write_report(folder, report)
    return report


def _scored(
    report: Report, config: BenchConfig, *, data: Dataset, cases: Cases, dataset: str, root: Path
) -> Report:
    """The report with the figures of every system."""
    systems = {**baselines(config, data, cases), **peers(data, cases, Path(dataset))}
    notes = list(report.notes)
    if data.timed:
        by_time, chosen = timed_peers(load_dataset(root / DATA), data, cases, LISTED)
        systems |= by_time
        if come_back(cases):
            systems["buy again"] = buy_again(data, cases, LISTED)
        notes.append(str(chosen))
    engine = Engine.load(root, EngineConfig())
    own = cascade_lists(engine, data, cases)
    trees = boosted(config, root, engine, data, own=own, cases=cases)
    systems |= {
        **({} if trees is None else {"lambdarank": trees[..., :LISTED]}),
        "towers": own.towers,
        "shortlist": own.shortlist[:, :LISTED],
        "cascade": own.cascade[:, :LISTED],
    }
    logger.info("median ms a request: %s", {k: round(v, 1) for k, v in own.milliseconds.items()})
    return replace(
        report,
        notes=(*notes, *([] if trees is not None else [NO_TREES])),
        systems={
            name: summarise(
                lists, cases.targets, len(data.item_ids), config.seed, users=cases.user_rows
            )
            for name, lists in systems.items()
        },
        decomposition=decomposition(config, root, own, cases),
        by_length=by_length(config, engine, data, own, cases),
        paired=paired(config, systems, cases),
        ratios=ratios(config, systems, cases),
        slices={
            **slices(config, data, systems, cases),
            **by_repeat(systems, cases, config.seed),
        },
        examples=examples(config, data, cases, own),
    )


def made_from(config: BenchConfig, dataset: str, root: Path) -> dict[str, Any]:
    """Fingerprints and checksums of everything that the figures depend on."""
    saved = [Path(dataset) / name for name in (USERS, LISTS)]
    return {
        "release": open_evaluated(root).versions,
        "options": {**asdict(config), "lambdarank trainings": TRAININGS},
        "saved": {path.name: checksum(path) for path in saved if path.is_file()},
    }


def evaluated_cases(config: BenchConfig, data: Dataset, folder: Path) -> Cases:
    """Test cases of the users that the dataset names, or a seeded sample.

    Raises:
        ValueError: no user is left.
    """
    cases = _cases(config, data, folder)
    if not len(cases):
        raise ValueError("test split must hold a user with a history and a new item, got none")
    return cases


def _cases(config: BenchConfig, data: Dataset, folder: Path) -> Cases:
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
    valid = load_dataset(root / DATA).cases("valid").at(shortlists.places)
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
            excluded=cases.excluded[case],
            when=when,
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


def paired(config: BenchConfig, systems: Lists, cases: Cases) -> dict[str, Mapping[str, Interval]]:
    """Paired differences between systems, which show whether a stage improves the lists."""
    return {
        f"{first} − {second}": compare(
            systems[first], systems[second], cases.targets, config.seed, users=cases.user_rows
        )
        for first, second in COMPARED
        if first in systems and second in systems
    }


def ratios(config: BenchConfig, systems: Lists, cases: Cases) -> dict[str, Interval]:
    """NDCG@10 of the cascade divided by that of the peers that know the time, if any."""
    values = {
        name: over_trainings(ndcg, systems[name], cases.targets, SHOWN)
        for name in ("cascade", *TIMED_PEERS)
        if name in systems
    }
    return {
        f"cascade / {name}": ratio_interval(
            values["cascade"], values[name], users=cases.user_rows, seed=config.seed
        )
        for name in TIMED_PEERS
        if name in values and values[name].any()
    }


def slices(
    config: BenchConfig, data: Dataset, systems: Lists, cases: Cases
) -> dict[str, dict[str, Interval]]:
    """recall@100 by rarity of the targets and by length of the history.

    A case with rare and other targets is in both slices, with the targets of each kind.
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
    figures = {}
    for kind, chosen in kinds.items():
        having = np.flatnonzero([of_kind.any() for of_kind in chosen])
        if len(having):
            targets = [cases.targets[case][chosen[case]] for case in having]
            figures[f"{kind} ({len(having):,} cases)"] = {
                name: mean_interval(
                    over_trainings(recall, lists[..., having, :], targets, LISTED),
                    users=cases.user_rows[having],
                    seed=config.seed,
                )
                for name, lists in systems.items()
            }
    return figures


def decomposition(
    config: BenchConfig, root: Path, own: CascadeLists, cases: Cases
) -> dict[str, Interval]:
    """Share of the targets that remain after each step of the cascade."""
    ranked = read_manifest(root / RANKER, RANKER).config["ranked"]
    steps = {
        f"recalled by the towers ({LISTED})": recall(own.towers, cases.targets, LISTED),
        f"recalled by both sources ({LISTED})": recall(own.shortlist, cases.targets, LISTED),
        f"read by the ranker ({ranked})": recall(own.shortlist, cases.targets, ranked),
        "shown (10), ranker": recall(own.cascade, cases.targets, 10),
        "shown (10), shortlist": recall(own.shortlist, cases.targets, 10),
    }
    return {
        name: mean_interval(values, users=cases.user_rows, seed=config.seed)
        for name, values in steps.items()
    }


def by_length(
    config: BenchConfig, engine: Engine, data: Dataset, own: CascadeLists, cases: Cases
) -> dict[str, Interval]:
    """NDCG@10 of the cascade with fewer ranked candidates, by number and median request time.

    A candidate's score does not depend on the other candidates, so the lists follow from the full
    ranking; only the times are measured again.
    """
    lengths = [length for length in LENGTHS if length < engine.ranked] + [engine.ranked]
    few = cases.select(np.arange(min(TIMED, len(cases))))
    shoppers = case_shoppers(data, few)
    wishes = Wishes(limit=10)
    figures = {}
    for length in lengths:
        milliseconds = [
            engine.recommend(shopper, wishes, ranked=length, now=few.when(case)[0]).milliseconds[
                "total"
            ]
            for case, shopper in enumerate(shoppers)
        ]
        shown = np.stack(
            [
                head_ranked(recalled, ranked, length)
                for recalled, ranked in zip(own.shortlist, own.cascade, strict=True)
            ]
        )
        label = f"{length} ranked, {np.median(milliseconds):.1f} ms"
        figures[label] = mean_interval(
            ndcg(shown, cases.targets, SHOWN), users=cases.user_rows, seed=config.seed
        )
    return figures


def head_ranked(
    shortlist: NDArray[np.int32], ranked: NDArray[np.int32], length: int
) -> NDArray[np.int32]:
    """First 10 items when the ranker orders only the head of a shortlist."""
    items = np.concatenate([ranked[np.isin(ranked, shortlist[:length])], shortlist[length:]])
    shown = items[items >= 0][:SHOWN]
    return np.pad(shown, (0, SHOWN - len(shown)), constant_values=-1)


def examples(config: BenchConfig, data: Dataset, cases: Cases, own: CascadeLists) -> list[Example]:
    """Lists of a seeded random sample of cases, with hits and misses."""
    chosen = np.random.default_rng(config.seed).permutation(len(cases))[: config.examples]
    shown = []
    for case in chosen.tolist():
        items = own.answers[case].items
        recalled = sorted(items, key=lambda item: item.shortlist_rank or 0)
        shown.append(
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
    return shown


def peers(data: Dataset, cases: Cases, folder: Path) -> Lists:
    """Peers' lists that are saved with the dataset, if any."""
    return saved_lists(
        folder,
        user_ids=[data.user_ids[int(row)] for row in cases.user_rows],
        item_ids=data.item_ids,
        excluded=cases.excluded,
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

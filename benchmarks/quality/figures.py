"""Figures of compared systems: differences, ratios, slices, and the loss at each step."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.cascade_lists import LISTED, CascadeLists, case_shoppers
from benchmarks.quality.config import BenchConfig
from benchmarks.quality.systems import Lists
from benchmarks.quality.timed_peers import TIMED_PEERS
from benchmarks.report.report import Example, make_example
from dataset.arrays import Dataset
from dataset.cases import Cases
from evaluation.intervals import Interval, mean_interval, ratio_interval
from evaluation.metrics import ndcg, recall
from evaluation.summary import compare, over_trainings
from lineage.manifest import read_manifest
from lineage.stages import RANKER
from serving.engine.engine import Engine
from shortlist_client.api.request import Wishes

RARE = 5
"""Most training purchases of a rare item."""
SHORT = 3
"""Most items of a short history."""
SHOWN = 10
LENGTHS = (0, 10, 20, 50, 100)
"""Numbers of candidates to rank in `by_length`, if below the engine's own."""
COMPARED = (
    ("cascade", "shortlist"),
    ("cascade", "towers"),
    ("cascade", "lambdarank"),
    ("cascade", "item-knn"),
    ("towers", "item-knn"),
)
"""Pairs of systems whose differences the report shows"""


def paired(config: BenchConfig, systems: Lists, cases: Cases) -> dict[str, Mapping[str, Interval]]:
    """Paired differences between systems, which show whether a stage improves the lists."""
    return {
        f"{first} − {second}": compare(
            systems[first],
            systems[second],
            cases.targets,
            config.seed,
            users=cases.user_rows,
            gains=cases.gains,
        )
        for first, second in COMPARED
        if first in systems and second in systems
    }


def ratios(config: BenchConfig, systems: Lists, cases: Cases) -> dict[str, Interval]:
    """NDCG@10 of the cascade divided by that of the peers that know the time, if any."""
    values = {
        name: over_trainings(partial(ndcg, gains=cases.gains), systems[name], cases.targets, SHOWN)
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
    few = cases.select(np.arange(min(config.timed, len(cases))))
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
            ndcg(shown, cases.targets, SHOWN, cases.gains), users=cases.user_rows, seed=config.seed
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

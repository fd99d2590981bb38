"""`python -m benchmarks.latency.ranking`: latency of the ranker against a CrossEncoder.

The peer is sentence-transformers' CrossEncoder on the default backbone, with its default precision
(fp32) and in bf16; it reads the last titles of the history with each candidate's title. All systems
alternate in this process, with the same threads, shoppers and candidates. Our latency includes the
computation of all features.
"""

import logging
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.command import configuration, folders, parser, save_figures
from dataset.arrays import Dataset, load_dataset
from index.arrays import Rows
from index.ranked_list import RankedList
from lineage.cli import configure_logging, reported_errors
from lineage.open_release import open_release
from lineage.stages import DATA, ITEM_STATES, RANKER
from ranker.config import RankerConfig
from retrieval.blas_threads import limit_blas_threads
from retrieval.features import Features

if TYPE_CHECKING:
    from retrieval.retriever import Retriever

logger = logging.getLogger("benchmarks.latency.ranking")
CANDIDATES = 100
TITLES = 10
"""Newest titles of a history that the peer reads."""
USERS = 40


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Latency of one request, ms."""

    system: str
    p50: float
    p99: float
    times_slower: float
    """Ratio of the system's median to ours"""


@dataclass(frozen=True, kw_only=True)
class _Request:
    """A shopper and the recalled candidates."""

    history: Rows
    when: tuple[int | None, NDArray[np.int64] | None]
    shortlist: RankedList


def latencies(config: RankerConfig, root: Path, rounds: int) -> list[Latency]:
    """Time the ranking of 100 candidates for test users, one request at a time.

    Args:
        config: Names the backbone of the peer.
        root: Folder of the dataset's stages.
        rounds: Times that every request is made.

    Returns:
        Latency of every system, ours first.

    Raises:
        ArtifactError: a stage is missing, corrupt or does not fit.
    """
    import torch
    from sentence_transformers import CrossEncoder

    from backbone.device import best_device
    from backbone.load import source_of
    from ranker.ranker import Ranker
    from retrieval.retriever import Retriever

    limit_blas_threads()
    open_release(root)
    data, retriever = load_dataset(root / DATA).for_refit(), Retriever.load(root)
    features = Features.load(root, retriever.sources, data.popularity)
    ranker = Ranker.load(root / RANKER)
    features.require(ranker.feature_names, root / RANKER)
    requests = _requests(data, retriever)

    def ours(request: _Request) -> object:
        shortlist = request.shortlist
        now, times = request.when
        columns = features(request.history, shortlist, now=now, times=times)
        return ranker(request.history, shortlist.rows, shortlist.scores, columns)

    def cross_encoder(dtype: torch.dtype) -> Callable[[_Request], object]:
        place, options = source_of(config.backbone)
        peer = CrossEncoder(
            place,
            **options,
            num_labels=1,
            device=best_device().type,
            model_kwargs={"dtype": dtype},
        )
        return lambda request: peer.predict(_pairs(data, request), show_progress_bar=False)

    systems = {
        "ours": ours,
        "CrossEncoder, fp32": cross_encoder(torch.float32),
        "CrossEncoder, bf16": cross_encoder(torch.bfloat16),
    }
    times: dict[str, list[float]] = {name: [] for name in systems}
    for turn in range(rounds + 1):  # the first round warms up
        for request in requests:
            for name, rank in systems.items():
                started = time.perf_counter()
                rank(request)
                if turn:
                    times[name].append(1e3 * (time.perf_counter() - started))
    medians = {name: float(np.median(milliseconds)) for name, milliseconds in times.items()}
    return [
        Latency(
            system=name,
            p50=round(medians[name], 2),
            p99=round(float(np.quantile(milliseconds, 0.99)), 2),
            times_slower=round(medians[name] / medians["ours"], 1),
        )
        for name, milliseconds in times.items()
    ]


def _requests(data: Dataset, retriever: "Retriever") -> list[_Request]:
    cases = data.cases("test").sample(USERS, 0)
    return [
        _Request(
            history=history,
            when=cases.when(case),
            shortlist=retriever.shortlist(
                history,
                CANDIDATES,
                {},
                interaction_codes=cases.interaction_codes[case],
                excluded=cases.excluded[case],
                when=cases.when(case),
            ),
        )
        for case, history in enumerate(cases.histories)
    ]


def _pairs(data: Dataset, request: _Request) -> list[tuple[str, str]]:
    history = ", ".join(data.titles[int(row)] for row in request.history[-TITLES:])
    return [(history, data.titles[int(row)]) for row in request.shortlist.rows]


def main() -> None:
    """Measure on a dataset, print a table, and write `ranking.json`."""
    options = parser(
        "python -m benchmarks.latency.ranking",
        "Latency of the ranker against a peer.",
        RankerConfig,
    )
    options.add_argument("--rounds", type=int, default=3, help="times that every request is made")
    parsed = options.parse_args()
    configure_logging()
    with reported_errors():
        arguments = options.instantiate(parsed)
        root, reports = folders(arguments)
        measured = latencies(configuration(arguments, RankerConfig), root, arguments.rounds)
        states = root / RANKER / ITEM_STATES
        content = {
            "dataset": root.name,
            "candidates": CANDIDATES,
            "bytes an item": round(states.stat().st_size / len(load_dataset(root / DATA).titles)),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, torch {version('torch')}",
            "systems": [asdict(one) for one in measured],
        }
        table = Table("", "p50, ms", "p99, ms", "times slower", title=f"{root.name}: ranking")
        for one in measured:
            table.add_row(one.system, f"{one.p50}", f"{one.p99}", f"{one.times_slower}")
        Console(width=100).print(table)
        save_figures(reports, "ranking", content)


if __name__ == "__main__":
    main()

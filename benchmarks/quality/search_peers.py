"""Peers of searches that nothing has trained: BM25 as it usually is, and the pretrained backbone.

`python -m benchmarks.quality.search_peers --dataset … ` scores them after the data stage alone.
"""

from collections.abc import Mapping
from pathlib import Path

import bm25s
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.command import configuration, folders, parser, save_figures
from benchmarks.quality.config import BenchConfig
from benchmarks.report.tables import intervals_table
from dataset.arrays import Dataset, load_dataset
from dataset.cases import Cases
from evaluation.search import remove, top_k
from evaluation.summary import summarise
from lineage.cli import configure_logging, finished_config, reported_errors
from lineage.stages import DATA, TOWERS
from towers.config import TowersConfig

BM25, UNTRAINED = "BM25", "untrained text"
Lists = Mapping[str, NDArray[np.int32]]


def bm25_lists(data: Dataset, cases: Cases, k: int) -> NDArray[np.int32]:
    """(cases, k) item rows by BM25 with usual options: whole words, English stop words.

    Items without a word of the search follow in a random order.
    """
    index = bm25s.BM25()
    index.index(_tokens(list(data.texts)), show_progress=False)
    preference = np.random.default_rng(0).permutation(len(data.item_ids))
    found = np.full((len(cases), k), -1, np.int32)
    for case, words in enumerate(_tokens(list(cases.searches))):
        known = [word for word in words if word in index.vocab_dict]
        scores = np.zeros((1, len(data.item_ids)), np.float32)
        if known:
            scores[0] = index.get_scores(known)
        remove(scores, cases.excluded[case : case + 1])
        found[case] = top_k(scores, k, preference)[1][0]
    return found


def _tokens(texts: list[str]) -> list[list[str]]:
    found: list[list[str]] = bm25s.tokenize(
        texts, stopwords="en", return_ids=False, show_progress=False
    )
    return found


def search_peers(
    data: Dataset, cases: Cases, config: TowersConfig, k: int, *, cache_below: Path
) -> Lists:
    """Lists of both peers; none where some case has no search.

    Args:
        data: The corpus.
        cases: Cases with searches.
        config: Names the backbone and the most word pieces of a text.
        k: Items per case.
        cache_below: Folder of the encoded texts.
    """
    if not cases.searches or not all(cases.searches):
        return {}
    from benchmarks.quality.untrained import Untrained

    untrained = Untrained.read(data, config, cache_below=cache_below)
    return {
        BM25: bm25_lists(data, cases, k),
        UNTRAINED: untrained.like_searches(cases.searches, cases, k),
    }


def main() -> None:
    """Score both peers on the test split, print a table, and write `search_peers.json`."""
    parsed = parser(
        "python -m benchmarks.quality.search_peers",
        "BM25 and the untrained backbone on the searches of the test split.",
        BenchConfig,
    ).parse_args()
    configure_logging()
    with reported_errors():
        root, reports = folders(parsed)
        config = configuration(parsed, BenchConfig)
        data = load_dataset(root / DATA).for_refit()
        cases = data.cases("test").sample_users(config.max_users, config.seed)
        towers = TowersConfig()
        if (root / TOWERS).is_dir():
            towers = finished_config(root, TOWERS, TowersConfig)
        lists = search_peers(data, cases, towers, 100, cache_below=root / "training")
        systems = {
            name: summarise(
                rows,
                cases.targets,
                len(data.item_ids),
                config.seed,
                users=cases.user_rows,
                gains=cases.gains,
            )
            for name, rows in lists.items()
        }
        Console(width=160).print(intervals_table(f"{root.name}: test, searches", systems))
        save_figures(reports, "search_peers", {"systems": systems})


if __name__ == "__main__":
    main()

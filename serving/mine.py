"""Recalls shortlists for training and validation users, through the very retriever that serves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from dataset.arrays import load_dataset
from dataset.points import training_points
from index.sources import Recalled
from ranker.config import ShortlistsConfig
from ranker.shortlists import Shortlists
from serving.release import RETRIEVAL, open_release
from serving.retrieval import Retriever


def mine(config: ShortlistsConfig, root: Path, folder: Path) -> Mapping[str, Any]:
    """Recall shortlists with the finished towers, index and neighbour lists.

    Args:
        config: How many, how long.
        root: Folder of the dataset's stages.
        folder: Where to write.

    Returns:
        Facts for the manifest: counts, and how often the target was recalled.
    """
    open_release(root, RETRIEVAL)
    data, retriever = load_dataset(root / "data"), Retriever.load(root)
    points = training_points(data)
    order = np.random.default_rng(config.seed).permutation(len(points))
    chosen = np.sort(order[: config.training_points])
    cases = data.cases("valid").sample(config.valid_users, config.seed)
    lists = [
        retriever.shortlist(
            points.history(point), config.size, {}, contexts=points.history_contexts(point)
        )
        for point in tqdm(chosen.tolist(), "training shortlists", leave=False)
    ]
    valid = [
        retriever.shortlist(history, config.size, {}, contexts=contexts)
        for history, contexts in tqdm(
            zip(cases.histories, cases.contexts, strict=True),
            "valid shortlists",
            len(cases),
            leave=False,
        )
    ]
    rows, scores = _stacked(lists, config.size)
    valid_rows, valid_scores = _stacked(valid, config.size)
    recalled = (rows == points.targets[chosen][:, None]).any(axis=1)
    if not recalled.any():
        raise ValueError(
            f"training_points must include one whose target is among the first {config.size}, "
            f"got none of {len(chosen)}; train the towers for longer or raise training_points"
        )
    Shortlists(
        points=chosen[recalled],
        rows=rows[recalled],
        scores=scores[recalled],
        valid_users=cases.user_rows,
        valid_rows=valid_rows,
        valid_scores=valid_scores,
    ).save(folder)
    return {
        "training points": len(chosen),
        "with their target in the shortlist": int(recalled.sum()),
        "valid users": len(cases),
    }


def _stacked(lists: list[Recalled], size: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Item rows and scores, both (lists, size); -1 and 0 where a list is shorter."""
    rows = np.full((len(lists), size), -1, np.int32)
    scores = np.zeros((len(lists), size), np.float32)
    for position, recalled in enumerate(lists):
        rows[position, : len(recalled.rows)] = recalled.rows
        scores[position, : len(recalled.rows)] = recalled.scores
    return rows, scores

"""Recalls shortlists for users whose targets the towers have not seen, as serving would."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from dataset.arrays import Cases, load_dataset
from index.ranked_list import RankedList, Rows
from lineage.open_release import open_release
from lineage.stages import TRIAL, TRIAL_FOLDER, TRIAL_TOWERS, VALID_USERS
from ranker.shortlists import Shortlists
from retrieval.blas_threads import leave_cores_to_torch
from retrieval.config import ShortlistsConfig
from retrieval.features import Features
from retrieval.retriever import ResolvedShopper, Retriever

AT_ONCE = 128
"""Shoppers that are worked on together, as by a busy server."""


def mine(config: ShortlistsConfig, root: Path, folder: Path) -> Mapping[str, Any]:
    """Recall shortlists with the trial's towers, index and neighbour lists.

    Args:
        config: How many, how long.
        root: Folder of the dataset's stages.
        folder: Where to write.

    Returns:
        Facts for the manifest: counts, and how often a target was recalled.

    Raises:
        ValueError: no list that is to be learnt from holds a target.
    """
    leave_cores_to_torch()
    open_release(root, TRIAL)
    data, retriever = load_dataset(root / "data"), Retriever.load(root / TRIAL_FOLDER)
    cases, tuned_on = data.cases("valid"), np.load(root / TRIAL_TOWERS / VALID_USERS)
    tuned = cases.of_users(tuned_on).sample(config.valid_users, config.seed)
    others = cases.select(np.flatnonzero(~np.isin(cases.user_rows, tuned_on)))
    chosen = others.sample(config.learnt_users, config.seed)
    learnt = [
        found
        for found in _recalled(retriever, chosen, config.size, "shortlists to learn from")
        if np.isin(found.targets, found.recalled.rows).any()
    ]
    tuning = _recalled(retriever, tuned, config.size, "shortlists to tune on")
    if not learnt:
        raise ValueError(
            f"size must let some user's target be recalled, got none of {len(chosen)} users among "
            f"{config.size} items; train the towers for longer or raise it"
        )
    features = Features.load(root / TRIAL_FOLDER, retriever.sources, data.popularity)
    _write(folder, features, learnt, tuning, config)
    return {
        "users to learn from": len(chosen),
        "with a target in the shortlist": len(learnt),
        "users to tune on": len(tuned),
    }


@dataclass(frozen=True, kw_only=True)
class _Found:
    """A user, and what was recalled."""

    user: int
    history: Rows
    targets: Rows
    recalled: RankedList


def _recalled(retriever: Retriever, cases: Cases, size: int, description: str) -> list[_Found]:
    shoppers = [
        ResolvedShopper(history=history, contexts=contexts)
        for history, contexts in zip(cases.histories, cases.contexts, strict=True)
    ]
    found: list[_Found] = []
    with tqdm(total=len(shoppers), desc=description, unit="user", leave=False) as progress:
        for start in range(0, len(shoppers), AT_ONCE):
            some = shoppers[start : start + AT_ONCE]
            for case, recalled in enumerate(retriever.recall(some, size, {}), start):
                found.append(
                    _Found(
                        user=int(cases.user_rows[case]),
                        history=cases.histories[case],
                        targets=cases.targets[case],
                        recalled=recalled,
                    )
                )
            progress.update(len(some))
    return found


def _write(
    folder: Path,
    features: Features,
    learnt: list[_Found],
    tuning: list[_Found],
    config: ShortlistsConfig,
) -> None:
    """Write a list at a time: together they need not fit into memory."""
    every = [*learnt, *tuning]
    created = Shortlists.create(
        folder,
        np.array([found.user for found in every]),
        len(learnt),
        config.size,
        config.features,
    )
    for place, found in enumerate(tqdm(every, "features", unit="user", leave=False)):
        length = len(found.recalled.rows)
        created.rows[place, :length] = found.recalled.rows
        created.scores[place, :length] = found.recalled.scores
        created.features[place, :length] = features(found.history, found.recalled)
    created.flush()

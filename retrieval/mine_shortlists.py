"""Recalls shortlists as the server does, for users whose targets the towers have not seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from dataset.arrays import load_dataset
from dataset.cases import Cases
from dataset.clock import When
from dataset.validation_users import ValidationUsers
from index.arrays import Rows
from index.ranked_list import RankedList
from lineage.manifest import read_manifest
from lineage.open_release import open_release
from lineage.stages import DATA, TRIAL, TRIAL_FOLDER, TRIAL_TOWERS
from ranker.shortlists import SEARCHES, Shortlists
from retrieval.blas_threads import limit_blas_threads
from retrieval.config import ShortlistsConfig
from retrieval.features import Features
from retrieval.retriever import ResolvedShopper, Retriever

BATCH_SIZE = 128
"""Shoppers recalled together, as a busy server would."""


def mine(config: ShortlistsConfig, root: Path, folder: Path) -> Mapping[str, Any]:
    """Recall shortlists with the trial's towers, index and neighbour lists.

    Args:
        config: Numbers of users and length of the lists.
        root: Folder of the dataset's stages.
        folder: Folder to write to.

    Returns:
        Facts for the manifest: counts of moments, and of lists that hold a target.
    """
    limit_blas_threads()
    open_release(root, TRIAL)
    data, retriever = load_dataset(root / DATA), Retriever.load(root / TRIAL_FOLDER)
    users = ValidationUsers.of(data)
    learnable = users.learn
    if (
        data.searches_alone
        and not read_manifest(root / TRIAL_TOWERS, TRIAL_TOWERS).config["residual"]
    ):
        learnable = learnable.followed_by(data.cases("train"))
    learn = learnable.sample(config.learnt_users, config.seed)
    choose, gate = (
        part.sample(config.valid_users, config.seed) for part in (users.choose, users.gate)
    )
    learnt = [
        case
        for case in _recall(retriever, learn, config.size, "shortlists to train on")
        if np.isin(case.targets, case.recalled.rows).any()
    ]
    choosing = _recall(retriever, choose, config.size, "shortlists to choose the pass")
    gating = _recall(retriever, gate, config.size, "shortlists to judge the ranker")
    features = Features.load(root / TRIAL_FOLDER, retriever.sources, data.popularity)
    _write(folder, features, (learnt, choosing, gating), config)
    searches = [case.search for case in (*learnt, *choosing, *gating)]
    if any(searches):
        np.save(folder / SEARCHES, _embedded(retriever, searches))
    return {
        "moments to learn from": len(learn),
        "with a target in the shortlist": len(learnt),
        "moments that choose the pass": len(choose),
        "moments that decide whether ranking pays": len(gate),
    }


@dataclass(frozen=True, kw_only=True)
class _RecalledCase:
    """A case and the recalled shortlist."""

    place: int
    history: Rows
    interaction_codes: Rows
    when: When
    targets: Rows
    search: str
    recalled: RankedList


def _recall(retriever: Retriever, cases: Cases, size: int, description: str) -> list[_RecalledCase]:
    shoppers = [
        ResolvedShopper(
            history=history,
            interaction_codes=cases.interaction_codes[case],
            excluded=cases.excluded[case],
            now=cases.when(case).now,
            times=cases.when(case).times,
            search=cases.search(case),
        )
        for case, history in enumerate(cases.histories)
    ]
    recalled_cases: list[_RecalledCase] = []
    with tqdm(total=len(shoppers), desc=description, unit="user", leave=False) as progress:
        for start in range(0, len(shoppers), BATCH_SIZE):
            batch = shoppers[start : start + BATCH_SIZE]
            for case, recalled in enumerate(retriever.recall(batch, size, {}), start):
                recalled_cases.append(
                    _RecalledCase(
                        place=int(cases.places[case]),
                        history=cases.histories[case],
                        interaction_codes=cases.interaction_codes[case],
                        when=cases.when(case),
                        targets=cases.targets[case],
                        search=cases.search(case),
                        recalled=recalled,
                    )
                )
            progress.update(len(batch))
    return recalled_cases


def _embedded(retriever: Retriever, searches: Sequence[str]) -> NDArray[np.float32]:
    """(searches, dimension) embeddings of the words by the item tower; 0 for no search."""
    found = np.zeros((len(searches), retriever.sources.index.dimension), np.float32)
    searched = np.flatnonzero([bool(words) for words in searches])
    found[searched] = retriever.texts([searches[place] for place in searched.tolist()])
    return found


def _write(
    folder: Path,
    features: Features,
    parts: tuple[list[_RecalledCase], list[_RecalledCase], list[_RecalledCase]],
    config: ShortlistsConfig,
) -> None:
    """Write one list at a time, so that all features need not fit into memory."""
    cases = [case for part in parts for case in part]
    created = Shortlists.create(
        folder,
        np.array([case.place for case in cases]),
        (len(parts[0]), len(parts[1])),
        config.size,
        features.names,
    )
    for place, case in enumerate(tqdm(cases, "features", unit="user", leave=False)):
        length, (now, times) = len(case.recalled.rows), case.when
        created.rows[place, :length] = case.recalled.rows
        created.scores[place, :length] = case.recalled.scores
        created.features[place, :length] = features(
            case.history,
            case.recalled,
            now=now,
            times=times,
            interaction_codes=case.interaction_codes,
        )
    created.flush()

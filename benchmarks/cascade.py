"""Runs the very engine that serves over test users, one query a user."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from dataset.arrays import Cases, Dataset
from serving.engine import Engine
from serving.query import Answer, Query

LISTED = 100


@dataclass(frozen=True, kw_only=True)
class CascadeLists:
    """What the engine answers for each user, and what its stages hand on."""

    cascade: NDArray[np.int32]
    """(users, 100) item rows, -1 where the list is shorter"""
    shortlist: NDArray[np.int32]
    """(users, 100) the same items in the shortlist's order"""
    towers: NDArray[np.int32]
    """(users, 100) what the towers alone would recall"""
    answers: Sequence[Answer]
    milliseconds: dict[str, float]
    """Median wall time a stage"""


def cascade_lists(engine: Engine, data: Dataset, cases: Cases) -> CascadeLists:
    """Ask the engine for every case, by history, as a client would."""
    row_of = {item_id: row for row, item_id in enumerate(data.item_ids)}
    limit = min(LISTED, engine.shortlist)
    answers = []
    for history in tqdm(cases.histories, desc="cascade", unit="user"):
        item_ids = [data.item_ids[int(row)] for row in history]
        answers.append(engine.recommend(Query(history=item_ids, limit=limit)))
    cascade = np.full((len(cases), LISTED), -1, np.int32)
    shortlist, towers = cascade.copy(), cascade.copy()
    for user, answer in enumerate(answers):
        for place, item in enumerate(answer.items):
            row = row_of[item.item_id]
            cascade[user, place] = row
            if item.shortlist_rank is not None:
                shortlist[user, item.shortlist_rank - 1] = row
    for user, history in enumerate(tqdm(cases.histories, desc="towers", unit="user")):
        embedding = engine.retriever.embed(history, {})
        found, _ = engine.retriever.sources.nearest(embedding, history, limit)
        towers[user, : len(found)] = found
    stages = answers[0].milliseconds
    return CascadeLists(
        cascade=cascade,
        shortlist=shortlist,
        towers=towers,
        answers=answers,
        milliseconds={
            stage: float(np.median([answer.milliseconds[stage] for answer in answers]))
            for stage in stages
        },
    )

"""Runs the serving engine over test users, one query per user."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from dataset.arrays import TEST, Dataset
from dataset.cases import Cases
from dataset.interaction_codes import whole_seconds
from shortlist_client.api.answer import Answer
from shortlist_client.api.request import Shopper, Wishes

if TYPE_CHECKING:
    from serving.engine.engine import Engine

LISTED = 100


@dataclass(frozen=True, kw_only=True)
class CascadeLists:
    """The engine's answers for every case, and the intermediate lists."""

    cascade: NDArray[np.int32]
    """(cases, shortlist) item rows of the answers, best first; -1 for padding"""
    shortlist: NDArray[np.int32]
    """(cases, shortlist) item rows in the shortlist's order; -1 for padding"""
    towers: NDArray[np.int32]
    """(cases, 100) item rows that the towers alone recall; -1 for padding"""
    users: NDArray[np.float32]
    """(cases, dimension) embeddings by the user tower, computed one at a time"""
    answers: Sequence[Answer]
    milliseconds: dict[str, float]
    """Median wall time of each stage, ms"""


def history_shopper(data: Dataset, user_row: int, *, place: int | None = None) -> Shopper:
    """A shopper with a user's interactions before a moment, or before the test.

    Args:
        data: Ids and histories.
        user_row: Row of the user.
        place: Place of the moment's first interaction; None for the interactions of training and
            validation.
    """
    span = slice(data.offsets[user_row], data.offsets[user_row + 1])
    places = np.arange(span.start, span.stop)
    places = places[data.splits[span] < TEST] if place is None else places[places < place]
    names = ["", *data.action_names]
    return Shopper(
        history=[data.item_ids[int(row)] for row in data.items[places]],
        history_times=whole_seconds(data.times[places]).tolist() if data.timed else (),
        history_actions=[names[action] for action in data.actions[places].tolist()],
    )


def case_shoppers(data: Dataset, cases: Cases) -> list[Shopper]:
    """A shopper for each case: the user's interactions before the moment, and the search."""
    moments = zip(cases.user_rows.tolist(), cases.places.tolist(), strict=True)
    return [
        replace(history_shopper(data, user, place=place), search=cases.search(case))
        for case, (user, place) in enumerate(moments)
    ]


def cascade_lists(engine: "Engine", data: Dataset, cases: Cases) -> CascadeLists:
    """Ask the engine for every case as a client would, by history."""
    row_of = {item_id: row for row, item_id in enumerate(data.item_ids)}
    limit = engine.shortlist
    answers = [
        engine.recommend(shopper, Wishes(limit=limit), now=cases.when(case)[0])
        for case, shopper in enumerate(
            tqdm(case_shoppers(data, cases), desc="cascade", unit="case")
        )
    ]
    cascade = np.full((len(cases), limit), -1, np.int32)
    shortlist, towers = cascade.copy(), cascade.copy()
    for user, answer in enumerate(answers):
        for place, item in enumerate(answer.items):
            row = row_of[item.item_id]
            cascade[user, place] = row
            if item.shortlist_rank is not None:
                shortlist[user, item.shortlist_rank - 1] = row
    sources = engine.cascade.retriever.sources
    users = np.empty((len(cases), sources.index.dimension), np.float32)
    for user, history in enumerate(tqdm(cases.histories, desc="towers", unit="user")):
        users[user] = engine.cascade.retriever.embed(
            history,
            {},
            interaction_codes=cases.interaction_codes[user],
            search=cases.search(user),
        )
        found, _ = sources.nearest(users[user], cases.excluded[user], limit)
        towers[user, : len(found)] = found
    stages = answers[0].milliseconds
    return CascadeLists(
        cascade=cascade,
        shortlist=shortlist,
        towers=towers[:, :LISTED],
        users=users,
        answers=answers,
        milliseconds={
            stage: float(np.median([answer.milliseconds[stage] for answer in answers]))
            for stage in stages
        },
    )

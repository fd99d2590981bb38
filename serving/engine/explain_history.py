"""Explains items by the history that caused them.

User tower, sources and ranker score the same shortlist again without one item of the history. The
contribution of that item is therefore its true effect on the score, not the output of an
approximation (feature ablation; Covert et al., "Explaining by removing", JMLR 2021).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dataset.clock import NEVER
from index.arrays import Rows, Scores
from index.ranked_list import RankedList
from retrieval.retriever import ResolvedShopper
from serving.api.request import Request
from serving.engine.cascade import Cascade
from serving.engine.pieces import Pieces

REMOVED_ITEMS = 20
"""Newest items of a history to remove, one at a time"""
HISTORY_COST = 100
"""Approximate cost of embedding a shortened history, in items that the ranker scores for it"""
COST_AT_ONCE = 900
"""Cost of the shortened histories that are scored in one piece, at most"""


def history_reasons_cost(request: Request) -> int:
    """Extra work of the reasons, in items as for `Engine.cost`; an upper bound."""
    known = len(request.shopper.history) or REMOVED_ITEMS
    return (1 + min(known, REMOVED_ITEMS)) * (1 + request.limit)


def rows_to_remove(shopper: ResolvedShopper) -> Rows:
    """Rows of a history's items to remove one at a time: distinct, newest first.

    Empty if the history has only one item and there is no search: without the item, the user tower
    would have no input.
    """
    distinct = dict.fromkeys(shopper.history[::-1].tolist())
    rows = np.array(list(distinct)[:REMOVED_ITEMS], np.int32)
    if not shopper.search and len(distinct) < 2:
        return rows[:0]
    return rows


def contributions(
    shopper: ResolvedShopper,
    rows: Rows,
    ranked_list: RankedList,
    places: NDArray[np.int64],
    *,
    cascade: Cascade,
) -> Pieces[Scores]:
    """By how much scores fall when one item of the history is removed, in pieces.

    Args:
        shopper: The shopper, with a history or search for the user tower.
        rows: Rows of the history's items from `rows_to_remove`, at least one.
        ranked_list: The whole shortlist, in any order, ranked or not.
        places: Positions of the items to explain in the shortlist.
        cascade: Parts of the release that made the shortlist.

    Returns:
        (rows, places) contributions, in the units of the scores.
    """
    variants = [shopper, *(_without(shopper, row) for row in rows.tolist())]
    at_once, scores = max(COST_AT_ONCE // (HISTORY_COST + len(places)), 1), list[Scores]()
    for start in range(0, len(variants), at_once):
        yield start / len(variants)
        scores.append(
            _scores(variants[start : start + at_once], ranked_list, places, cascade=cascade)
        )
    with_all, *without_one = np.concatenate(scores)
    fall: Scores = with_all - np.stack(without_one)
    return fall


def _scores(
    variants: Sequence[ResolvedShopper],
    ranked_list: RankedList,
    places: NDArray[np.int64],
    *,
    cascade: Cascade,
) -> Scores:
    """(variants, places) scores of the shortlist's items for each variant of the shopper."""
    users = cascade.retriever.embed_all(variants, {})
    rescored = [
        _rescored(cascade, user, variant, ranked_list)
        for user, variant in zip(users, variants, strict=True)
    ]
    scores = np.stack([one.scores[places] for one in rescored])
    if ranked_list.ranked:
        scores *= cascade.ranker.shortlist_weight
        ranked = np.flatnonzero(~np.isnan(ranked_list.ranker_scores[places]))
        if len(ranked):
            scores[:, ranked] = _logits(cascade, variants, rescored, places[ranked])
    return scores


def _without(shopper: ResolvedShopper, row: int) -> ResolvedShopper:
    """The shopper without an item in the history; other interactions keep their codes."""
    others = shopper.history != row
    interaction_codes = (
        None if shopper.interaction_codes is None else shopper.interaction_codes[others]
    )
    times = None if shopper.times is None else shopper.times[others]
    return replace(
        shopper,
        history=shopper.history[others],
        interaction_codes=interaction_codes,
        times=times,
    )


def _rescored(
    cascade: Cascade, user: Scores, shopper: ResolvedShopper, ranked_list: RankedList
) -> RankedList:
    """The same items with the sources' scores for a changed history."""
    sources = cascade.retriever.sources
    counts = shopper.uses_neighbours or sources.weighs(shopper.search)
    rescored = sources.score_items(
        user,
        shopper.history if counts else shopper.history[:0],
        ranked_list.rows,
        interaction_codes=shopper.interaction_codes,
        when=shopper.when if counts else NEVER,
        search=shopper.search,
    )
    shortlist = ranked_list.shortlist
    return replace(
        rescored,
        by_towers=ranked_list.by_towers,
        by_neighbours=ranked_list.by_neighbours & (rescored.neighbour_scores > 0),
        by_sales=ranked_list.by_sales,
        by_own=ranked_list.by_own & (rescored.own > 0),
        by_words=ranked_list.by_words,
        by_generated=ranked_list.by_generated,
        shortlist=None if shortlist is None else _rescored(cascade, user, shopper, shortlist),
    )


def _logits(
    cascade: Cascade,
    variants: Sequence[ResolvedShopper],
    rescored: Sequence[RankedList],
    places: NDArray[np.int64],
) -> Scores:
    """Logits of the ranker, (variants, places)."""
    histories = [variant.history for variant in variants]
    heads = [one.take(places) for one in rescored]
    features = [
        cascade.features(
            variant.history,
            one,
            now=variant.now,
            times=variant.times,
            interaction_codes=variant.interaction_codes,
        )[places]
        for variant, one in zip(variants, rescored, strict=True)
    ]
    logits = cascade.ranker.score_all(
        histories,
        [head.rows for head in heads],
        [head.shortlist_scores for head in heads],
        features,
        searches=cascade.searches([variant.search for variant in variants]),
    )
    return np.stack(logits)

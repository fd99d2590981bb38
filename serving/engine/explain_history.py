"""Why an item is in an answer: what each item of the history did to its score, by leaving it out.

User tower, sources and ranker judge the same shortlist again without the item, so that what is told
is the true effect on the score, not what an approximation of the models says (feature ablation;
Covert et al., "Explaining by removing", JMLR 2021).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from index.ranked_list import RankedList, Rows, Scores
from retrieval.retriever import ResolvedShopper
from serving.api.request import Request
from serving.engine.cascade import Cascade

EXPLAINED = 20
"""Newest items of a history that are explained; each is left out in turn"""


def explaining_cost(request: Request) -> int:
    """Items that reasons read at most, beside those of the answer: of histories, and ranked."""
    if not request.wishes.explain:
        return 0
    known = len(request.shopper.history) or EXPLAINED
    return (1 + min(known, EXPLAINED)) * (1 + request.limit)


def left_out(shopper: ResolvedShopper) -> Rows:
    """Items of a history to leave out in turn: distinct, the newest first.

    None where the only item of a history would go: without it, nothing is known to compare with.
    """
    distinct = dict.fromkeys(shopper.history[::-1].tolist())
    rows = np.array(list(distinct)[:EXPLAINED], np.int32)
    if not shopper.search and len(distinct) < 2:
        return rows[:0]
    return rows


def contributions(
    shopper: ResolvedShopper,
    rows: Rows,
    found: RankedList,
    places: NDArray[np.int64],
    *,
    cascade: Cascade,
) -> Scores:
    """By how much scores would be lower without some items of a history.

    Args:
        shopper: Who was asked about; embedded by the user tower.
        rows: Items of the history, as of `left_out`, at least one.
        found: The whole shortlist, in any order, ranked or not.
        places: Among it, those that are explained.
        cascade: What made it.

    Returns:
        (rows, places), in the units of the scores.
    """
    variants = [shopper, *(_without(shopper, row) for row in rows.tolist())]
    users = cascade.retriever.embed_all(variants, {})
    judged = [
        _judged(cascade, user, variant, found)
        for user, variant in zip(users, variants, strict=True)
    ]
    scores = np.stack([one.scores[places] for one in judged])
    if found.ranked:
        scores *= cascade.ranker.shortlist_weight
        ranked = np.flatnonzero(~np.isnan(found.ranker_scores[places]))
        if len(ranked):
            scores[:, ranked] = _ranked(cascade, variants, judged, places[ranked])
    lower: Scores = scores[0] - scores[1:]
    return lower


def _without(shopper: ResolvedShopper, row: int) -> ResolvedShopper:
    """A shopper who never came across an item; what is known of the others stays."""
    kept = shopper.history != row
    contexts = None if shopper.contexts is None else shopper.contexts[kept]
    return replace(shopper, history=shopper.history[kept], contexts=contexts)


def _judged(
    cascade: Cascade, user: Scores, shopper: ResolvedShopper, found: RankedList
) -> RankedList:
    """The same items as the sources see them for another history."""
    history = shopper.history if shopper.listed else shopper.history[:0]
    judged = cascade.retriever.sources.judge(user, history, found.rows)
    return replace(
        judged,
        by_towers=found.by_towers,
        by_neighbours=found.by_neighbours & (judged.neighbour_scores > 0),
    )


def _ranked(
    cascade: Cascade,
    variants: Sequence[ResolvedShopper],
    judged: Sequence[RankedList],
    places: NDArray[np.int64],
) -> Scores:
    """(variants, places) logits of the ranker."""
    histories = [variant.history for variant in variants]
    heads = [one.take(places) for one in judged]
    known = [
        cascade.features(history, one)[places]
        for history, one in zip(histories, judged, strict=True)
    ]
    logits = cascade.ranker.score_all(
        histories, [head.rows for head in heads], [head.scores for head in heads], known
    )
    return np.stack(logits)

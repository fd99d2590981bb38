"""Why an item is in an answer: what each item of the history did to its score, by leaving it out.

User tower, sources and ranker judge the same shortlist again without the item, so that what is told
is the true effect on the score, not what an approximation of the models says (feature ablation;
Covert et al., "Explaining by removing", JMLR 2021).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from index.recall_sources import Recalled, Rows, Scores
from ranker.ranker import Ranker
from retrieval.features import Signals
from retrieval.retriever import Retriever, Shopper
from serving.api.request import Request
from serving.engine.ranked_list import Candidates

EXPLAINED = 20
"""Newest items of a history that are left out, one after another"""


def explaining_cost(request: Request) -> int:
    """Items that reasons read at most, beside those of the answer: of histories, and ranked."""
    if not request.wishes.explain:
        return 0
    known = len(request.shopper.history) or EXPLAINED
    return (1 + min(known, EXPLAINED)) * (1 + request.limit)


def left_out(shopper: Shopper) -> Rows:
    """Items of a history that reasons tell of, the newest first; each once."""
    distinct = dict.fromkeys(shopper.history[::-1].tolist())
    rows = np.array(list(distinct)[:EXPLAINED], np.int32)
    if not shopper.search and len(distinct) < 2:  # without it nobody would be there
        return rows[:0]
    return rows


def contributions(
    shopper: Shopper,
    rows: Rows,
    found: Candidates,
    places: NDArray[np.int64],
    *,
    retriever: Retriever,
    signals: Signals,
    ranker: Ranker,
) -> Scores:
    """By how much scores would be lower without some items of a history.

    Args:
        shopper: Who was asked about; embedded by the user tower.
        rows: Items of the history, as of `left_out`, at least one.
        found: The whole shortlist, in any order, ranked or not.
        places: Among it, those that are explained.
        retriever: What recalled it.
        signals: What the ranker is told.
        ranker: What ordered it.

    Returns:
        (rows, places), in the units of the scores.
    """
    assert found.recalled is not None
    variants = [shopper, *(_without(shopper, row) for row in rows.tolist())]
    users = retriever.embed_all(variants, {})
    judged = [
        _judged(retriever, user, variant, found.recalled)
        for user, variant in zip(users, variants, strict=True)
    ]
    scores = np.stack([one.scores[places] for one in judged])
    if found.ranker_scores is not None:
        scores *= ranker.shortlist_weight
        ranked = np.flatnonzero(~np.isnan(found.ranker_scores[places]))
        if len(ranked):
            scores[:, ranked] = _ranked(variants, judged, places[ranked], signals, ranker)
    lower: Scores = scores[0] - scores[1:]
    return lower


def _without(shopper: Shopper, row: int) -> Shopper:
    """A shopper who never came across an item; what is known of the others stays."""
    kept = shopper.history != row
    contexts = None if shopper.contexts is None else shopper.contexts[kept]
    return replace(shopper, history=shopper.history[kept], contexts=contexts)


def _judged(retriever: Retriever, user: Scores, shopper: Shopper, recalled: Recalled) -> Recalled:
    """The shortlist as the sources see it for another history; it stays what it is."""
    history = shopper.history if shopper.listed else shopper.history[:0]
    judged = retriever.sources.judge(user, history, recalled.rows)
    return replace(
        judged,
        by_towers=recalled.by_towers,
        by_neighbours=recalled.by_neighbours & (judged.neighbour_scores > 0),
    )


def _ranked(
    variants: Sequence[Shopper],
    judged: Sequence[Recalled],
    places: NDArray[np.int64],
    signals: Signals,
    ranker: Ranker,
) -> Scores:
    """(variants, places) logits of the ranker."""
    histories = [variant.history for variant in variants]
    heads = [one.head(places) for one in judged]
    known = [signals(history, one)[places] for history, one in zip(histories, judged, strict=True)]
    logits = ranker.score_all(
        histories, [head.rows for head in heads], [head.scores for head in heads], known
    )
    return np.stack(logits)

"""Answers without recall and ranking: neighbours of an item, best sellers, embeddings."""

import time
from collections.abc import Mapping, Sequence

import numpy as np

from index.arrays import Scores
from index.ranked_list import RankedList
from serving.api.request import TEXTS_AT_ONCE, Method
from serving.engine.cascade import Cascade
from serving.engine.pieces import Paused
from serving.engine.resolve import ResolvedRequest
from shortlist_client.api.answer import Basis, Embedding

EMBEDS: Mapping[Method, str] = {
    Method.EMBED_SHOPPER: "user_tower",
    Method.EMBED_ITEMS: "index",
    Method.EMBED_TEXTS: "item_tower",
}
"""Methods that return embeddings, and the stage that computes them"""


def look_up(resolved: ResolvedRequest, cascade: Cascade, *, size: int) -> RankedList:
    """Neighbours of an item, or best sellers if nothing is known about the shopper.

    Args:
        resolved: A request that needs no shopper's embedding.
        cascade: Parts of the release.
        size: Number of best sellers, at most.
    """
    shopper, given, catalogue = resolved.shopper, resolved.given, cascade.catalogue
    if resolved.basis is Basis.ITEM:
        assert given is not None
        sources, limit = cascade.retriever.sources, resolved.request.limit
        item = sources.index.vectors(given)[0]
        return RankedList.of(*sources.nearest(item, given, limit, allowed=shopper.allowed))
    if given is None:
        rows = catalogue.best_selling(size, shopper.allowed, now=shopper.now)
        return RankedList.of(rows, catalogue.purchases(rows, shopper.now).astype(np.float32))
    sold = catalogue.purchases(given, shopper.now).astype(np.float32)
    by_sales = np.argsort(-sold, kind="stable")
    return RankedList.of(given[by_sales], sold[by_sales])


def embeddings(
    resolved: ResolvedRequest, cascade: Cascade, stage_times: dict[str, float]
) -> Paused[list[Embedding]]:
    """Embeddings of the shopper, items or texts of a request; none for an unknown shopper.

    Args:
        resolved: A request with a method in `EMBEDS`.
        cascade: Parts of the release.
        stage_times: Receives the stage's time, ms.
    """
    method, item_ids, given = resolved.request.method, [""], resolved.given
    nothing = given is None or not len(given)
    if {Method.EMBED_SHOPPER: not resolved.embeds, Method.EMBED_ITEMS: nothing}.get(method, False):
        return []
    started = time.perf_counter()
    if method is Method.EMBED_SHOPPER:
        vectors = cascade.retriever.embed_all([resolved.shopper], {})
    elif method is Method.EMBED_TEXTS:
        vectors = yield from _texts(resolved.request.texts, cascade)
        item_ids *= len(vectors)
    else:
        assert given is not None
        vectors = cascade.retriever.sources.index.vectors(given)
        item_ids = [cascade.catalogue.item_id(row) for row in given.tolist()]
    stage_times[EMBEDS[method]] = 1e3 * (time.perf_counter() - started)
    return [
        Embedding(values=tuple(vector), item_id=item_id)
        for vector, item_id in zip(vectors.tolist(), item_ids, strict=True)
    ]


def _texts(texts: Sequence[str], cascade: Cascade) -> Paused[Scores]:
    vectors = list[Scores]()
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        if start:
            yield
        vectors.append(cascade.retriever.texts(texts[start : start + TEXTS_AT_ONCE]))
    return np.concatenate(vectors)

"""What the towers make of a shopper, of items and of texts, for others to compare."""

import time
from collections.abc import Mapping

from retrieval.retriever import Retriever
from serving.api.request import Method
from serving.catalogue.catalogue import Catalogue
from serving.engine.resolve import Task
from shortlist_client.api.answer import Embedding

TEXT_COST = 16
"""Items of a history that take as long to read as one text, about"""
EMBEDS: Mapping[Method, str] = {
    Method.EMBED_SHOPPER: "user_tower",
    Method.EMBED_ITEMS: "index",
    Method.EMBED_TEXTS: "item_tower",
}
"""Methods that are answered by embeddings, and the stage that has the work"""


def embedded(
    task: Task, retriever: Retriever, catalogue: Catalogue, watch: dict[str, float]
) -> list[Embedding]:
    """Embeddings of what a request names; none of a shopper of whom nothing is known.

    Args:
        task: Of one of the methods that are answered so.
        retriever: Knows the towers and the items' embeddings.
        catalogue: Knows the items' ids.
        watch: Where times are booked, in ms.
    """
    method, item_ids, given = task.request.method, [""], task.given
    nothing = given is None or not len(given)
    if {Method.EMBED_SHOPPER: not task.read, Method.EMBED_ITEMS: nothing}.get(method, False):
        return []
    started = time.perf_counter()
    if method is Method.EMBED_SHOPPER:
        vectors = retriever.embed_all([task.shopper], {})
    elif method is Method.EMBED_TEXTS:
        vectors = retriever.texts(task.request.texts)
        item_ids *= len(vectors)
    else:
        assert given is not None
        vectors = retriever.sources.index.vectors(given)
        item_ids = [catalogue.item_id(row) for row in given.tolist()]
    watch[EMBEDS[method]] = 1e3 * (time.perf_counter() - started)
    return [
        Embedding(values=tuple(vector), item_id=item_id)
        for vector, item_id in zip(vectors.tolist(), item_ids, strict=True)
    ]

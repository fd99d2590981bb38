"""Answers that no shopper is embedded for: what is near an item, and what sells best."""

import numpy as np

from index.recall_sources import Rows
from retrieval.retriever import Retriever
from serving.catalogue.catalogue import Catalogue
from serving.engine.ranked_list import Candidates
from serving.engine.resolve import Task
from shortlist_client.api.answer import Basis


def looked_up(task: Task, catalogue: Catalogue, retriever: Retriever, *, size: int) -> Candidates:
    """What is near an item, or, where nobody is known, what sells best.

    Args:
        task: Of which no shopper is to be embedded.
        catalogue: Knows what sells.
        retriever: Knows what is near.
        size: Best-selling items at most.
    """
    shopper, given = task.shopper, task.given
    if task.basis is Basis.ITEM:
        assert given is not None
        sources, limit = retriever.sources, task.request.limit
        item = sources.index.vectors(given)[0]
        rows, cosines = sources.nearest(item, given, limit, allowed=shopper.allowed)
        return Candidates(rows=rows, scores=cosines)
    if given is None:
        return _popular(catalogue.best_selling(size, shopper.allowed), catalogue)
    return _popular(given[np.argsort(-catalogue.popularity(given), kind="stable")], catalogue)


def _popular(rows: Rows, catalogue: Catalogue) -> Candidates:
    return Candidates(rows=rows, scores=catalogue.popularity(rows).astype(np.float32))

"""How many items an answer was chosen from."""

import numpy as np

from dataset.postings import bitmap_of
from index.live_index import LiveIndex
from serving.api.request import Method
from serving.engine.ranked_list import Candidates
from serving.engine.resolve import Task
from shortlist_client.api.answer import Coverage


def coverage(task: Task, found: Candidates, index: LiveIndex) -> Coverage:
    """How many items each stage looked at.

    Args:
        task: What was asked.
        found: What was recalled for it, before any choice.
        index: What was searched.
    """
    looked = found.ranker_scores
    return Coverage(
        corpus=index.live,
        searched=_searched(task, index),
        recalled=len(found.rows),
        ranked=0 if looked is None else int((~np.isnan(looked)).sum()),
    )


def _searched(task: Task, index: LiveIndex) -> int:
    shopper, given = task.shopper, task.given
    if given is not None and task.request.method is Method.RANK:
        return len(given)
    left_out = shopper.history if given is None else given
    gone = index.current(np.unique(index.origins(left_out)))
    gone = gone[gone >= 0]
    if shopper.allowed is None:
        return index.live - len(gone)
    return len(shopper.allowed) - shopper.allowed.intersection_cardinality(bitmap_of(gone))

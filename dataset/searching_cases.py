"""Cases that search: logged searches, or words of titles where no searches are logged."""

import numpy as np

from dataset.arrays import Dataset
from dataset.cases import Cases
from dataset.histories import NOTHING

WORDS = 3
"""Words of a synthetic search"""
MOST = 1_000
"""Most synthetic searches"""


def some_words(title: str, rng: np.random.Generator) -> str:
    """Consecutive words of a title, `WORDS` at most."""
    words = title.split()
    start = int(rng.integers(max(1, len(words) - WORDS + 1)))
    return " ".join(words[start : start + WORDS])


def searching_cases(data: Dataset, cases: Cases, *, seed: int = 0) -> Cases:
    """The cases that have a search; synthetic ones without a history if nobody searched.

    A synthetic case searches for words of one item's title. Items are drawn by their purchases + 1.

    Args:
        data: The dataset.
        cases: Cases of users who decide something.
        seed: Seed of the synthetic cases.
    """
    if cases.searching:
        return cases.select(np.flatnonzero([bool(search) for search in cases.searches]))
    rng, size = np.random.default_rng(seed), len(data.item_ids)
    share = np.asarray(data.popularity) + 1.0
    items = rng.choice(size, min(MOST, size), replace=False, p=share / share.sum())
    nothing = [NOTHING] * len(items)
    return Cases(
        places=np.arange(len(items)),
        user_rows=np.arange(len(items)),
        histories=nothing,
        interaction_codes=nothing,
        targets=[np.array([item], np.int32) for item in items.tolist()],
        excluded=nothing,
        times=None,
        history_times=[None] * len(items),
        searches=[some_words(data.titles[item], rng) for item in items.tolist()],
    )

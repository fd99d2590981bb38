"""The weight of the words of a search: by recall where a ranker orders, else by NDCG alone."""

import numpy as np

from dataset.searching_cases import searching_cases
from index import words_weight
from index.source_weight import Figures
from index.words_weight import choose_words

FIGURES = {
    1.0: Figures(np.full(100, 0.9), np.full(100, 0.4)),
    2.0: Figures(np.tile([0.9, 0.7], 50), np.full(100, 0.5)),
    4.0: Figures(np.tile([0.9, 0.7], 50), np.full(100, 0.5)),
}
"""The second loses recall, the first NDCG"""


def test_recall_binds_only_where_a_ranker_orders_what_was_found(shop, monkeypatch):
    every = searching_cases(shop, shop.cases("valid"))
    cases = every.select(np.arange(100))
    monkeypatch.setattr(words_weight, "figures_by_weight", lambda *_: FIGURES)

    chosen = [
        choose_words(None, np.zeros((100, 1), np.float32), cases, ranked=ranked)[0]
        for ranked in (True, False)
    ]

    assert chosen == [1.0, 2.0]

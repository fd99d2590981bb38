"""Test cases as the ranker sees them: candidates, features, and a function that scores them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.cascade_lists import CascadeLists
from dataset.cases import Cases
from evaluation.metrics import ndcg
from index.arrays import Rows
from ranker.ranker import Scorer, reorder
from serving.engine.engine import Engine

SHOWN = 10
BATCH = 8
"""Shoppers scored together"""
Features = Sequence[NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class RankedCases:
    """Cases with a target among the candidates that the ranker reads."""

    cases: Cases
    rows: Sequence[Rows]
    """Candidates of each case, in the shortlist's order"""
    features: Features
    """(candidates, features) of each case"""
    names: Sequence[str]
    scorers: Sequence[Scorer]
    """Score `BATCH` cases each, in order"""

    def scores(self, features: Features) -> list[NDArray[np.float32]]:
        """(candidates,) logits of each case with other features."""
        parts = (features[start : start + BATCH] for start in range(0, len(features), BATCH))
        return [
            of_case
            for score, part in zip(self.scorers, parts, strict=True)
            for of_case in score(part)
        ]

    def shown(self, scores: Sequence[NDArray[np.float32]]) -> NDArray[np.int32]:
        """(cases, 10) first candidates in the order of some scores; -1 for padding."""
        shown = np.full((len(self.rows), SHOWN), -1, np.int32)
        for of_case, rows, logits in zip(shown, self.rows, scores, strict=True):
            best = reorder(rows, logits)[:SHOWN]
            of_case[: len(best)] = best
        return shown

    def quality(self, shown: NDArray[np.int32]) -> NDArray[np.float64]:
        """(cases,) NDCG@10 of the first candidates."""
        return ndcg(shown, self.cases.targets, SHOWN, self.cases.gains)


def ranked_cases(
    engine: Engine, own: CascadeLists, cases: Cases, count: int, seed: int
) -> RankedCases | None:
    """A sample of the cases that have a target to rank; None if the ranker orders none.

    Args:
        engine: The engine.
        own: Its answers.
        cases: The moments to predict.
        count: Cases at most.
        seed: Seed of the sample.
    """
    heads = own.shortlist[:, : engine.ranked]
    having = [case for case in range(len(cases)) if np.isin(cases.targets[case], heads[case]).any()]
    drawn = np.random.default_rng(seed).permutation(having)[:count].astype(np.int64)
    if not len(drawn) or not engine.ranked:
        return None
    by_length = np.argsort([len(cases.histories[case]) for case in drawn], kind="stable")
    drawn = drawn[by_length]  # a batch is padded to its longest history
    few, cascade = cases.select(drawn), engine.cascade
    sources = cascade.retriever.sources
    rows, scores, features = list[Rows](), list[NDArray[np.float32]](), list[NDArray[np.float32]]()
    for case, history in enumerate(few.histories):
        now, times = when = few.when(case)
        codes = few.interaction_codes[case]
        recalled = sources.shortlist(
            own.users[drawn[case]],
            history,
            engine.shortlist,
            interaction_codes=codes,
            uses_neighbours=not few.search(case),
            excluded=few.excluded[case],
            when=when,
            search=few.search(case),
        )
        columns = cascade.features(history, recalled, now=now, times=times, interaction_codes=codes)
        rows.append(recalled.rows[: engine.ranked])
        scores.append(recalled.shortlist_scores[: engine.ranked])
        features.append(columns[: engine.ranked])
    scorers = [
        cascade.ranker.scorer(
            [few.histories[case] for case in batch],
            [rows[case] for case in batch],
            [scores[case] for case in batch],
            searches=cascade.searches([few.search(case) for case in batch]),
        )
        for start in range(0, len(few), BATCH)
        for batch in [range(start, min(start + BATCH, len(few)))]
    ]
    return RankedCases(
        cases=few, rows=rows, features=features, names=cascade.features.names, scorers=scorers
    )

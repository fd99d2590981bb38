"""The last steps of an answer: which of the found items come back, and what is told of them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from index.filters.attributes import Attributes
from index.recall_sources import Rows
from ranker.ranker import Ranker
from retrieval.diversity import diverse
from retrieval.features import Signals
from retrieval.retriever import Retriever
from serving.catalogue.catalogue import Catalogue
from serving.engine.coverage import coverage
from serving.engine.embed import embedded
from serving.engine.explain_history import contributions, left_out
from serving.engine.explain_text import EXPLAINED, TextReasons
from serving.engine.latency import Pace
from serving.engine.ranked_list import Candidates
from serving.engine.resolve import Task
from shortlist_client.api.answer import Answer, Degraded, RankedItem, Reason

MARGIN = 0.005
"""Seconds that an answer needs to be written down and sent."""


@dataclass(frozen=True, kw_only=True)
class Answering:
    """Makes answers of what was found."""

    catalogue: Catalogue
    retriever: Retriever
    ranker: Ranker
    signals: Signals
    attributes: Attributes
    pace: Pace
    """How long reasons take"""
    text_reasons: TextReasons
    """Tells what items' texts did"""

    def __call__(
        self,
        task: Task,
        found: Candidates,
        watch: Mapping[str, float],
        started: float,
        *,
        cut: bool = False,
    ) -> Answer:
        """Choose from what was found, and say what is known of it.

        Args:
            task: What was asked.
            found: The whole shortlist, best first.
            watch: Times of the stages, in ms.
            started: When work began, in seconds of `time.perf_counter`.
            cut: Whether it should have been ranked but was not, for want of time.
        """
        limit, index = task.request.limit, self.retriever.sources.index
        places = np.arange(min(limit, len(found.rows)))
        if diversity := task.request.wishes.diversity:
            places = diverse(found.rows, limit, diversity, index, self.attributes)
        items = found.chosen(places).items(self.catalogue, limit)
        degraded, booked = Degraded.DEADLINE if cut else None, dict(watch)
        if items and not cut and task.by_history:
            if self._in_time(task, self.pace.expected(len(items) * len(left_out(task.shopper)))):
                items = self._explained(task, found, places, items, booked)
            else:
                degraded = Degraded.REASONS
        if items and not cut and task.by_texts:
            if self._in_time(task, self.text_reasons.pace.expected(len(items[:EXPLAINED]))):
                items = self._explained_by_texts(task, found.rows[places], items, booked)
            else:
                degraded = Degraded.REASONS
        return Answer(
            items=items,
            basis=task.basis,
            coverage=coverage(task, found, index),
            unknown_item_ids=task.unknown_item_ids,
            unknown_user=task.unknown_user,
            degraded=degraded,
            milliseconds={**booked, "total": 1e3 * (time.perf_counter() - started)},
        )

    def embedded(self, task: Task, started: float) -> Answer:
        """Embeddings in the place of items."""
        watch: dict[str, float] = {}
        embeddings = embedded(task, self.retriever, self.catalogue, watch)
        nothing = Candidates(rows=np.empty(0, np.int32), scores=np.empty(0, np.float32))
        return replace(self(task, nothing, watch, started), embeddings=embeddings)

    @staticmethod
    def _in_time(task: Task, seconds: float) -> bool:
        return task.request.deadline >= time.monotonic() + MARGIN + seconds

    def _explained(
        self,
        task: Task,
        found: Candidates,
        places: NDArray[np.int64],
        items: list[RankedItem],
        watch: dict[str, float],
    ) -> list[RankedItem]:
        """Each item with its reasons, what helped most first."""
        rows, started = left_out(task.shopper), time.perf_counter()
        lower = contributions(
            task.shopper,
            rows,
            found,
            places,
            retriever=self.retriever,
            signals=self.signals,
            ranker=self.ranker,
        )
        taken = time.perf_counter() - started
        self.pace.book(lower.size, taken)
        watch["reasons"] = 1e3 * taken
        item_ids = [self.catalogue.item_id(row) for row in rows.tolist()]
        return [
            replace(
                item,
                reasons=tuple(
                    Reason(item_id=item_ids[row], contribution=float(lost[row]))
                    for row in np.argsort(-lost, kind="stable").tolist()
                ),
            )
            for item, lost in zip(items, lower.T, strict=True)
        ]

    def _explained_by_texts(
        self, task: Task, rows: Rows, items: list[RankedItem], watch: dict[str, float]
    ) -> list[RankedItem]:
        """The first items with the reasons that lie in their texts, and the others."""
        started, first = time.perf_counter(), rows[:EXPLAINED]
        (user,) = self.retriever.embed_all([task.shopper], {})
        every = self.text_reasons(user, first, self.catalogue, self.retriever.sources.index)
        taken = time.perf_counter() - started
        self.text_reasons.pace.book(len(first), taken)
        watch["text_reasons"] = 1e3 * taken
        told = [
            replace(item, text_reasons=reasons) for item, reasons in zip(items, every, strict=False)
        ]
        return told + items[len(told) :]

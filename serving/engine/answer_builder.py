"""Builds an answer from a ranked list: chooses items, explains them, says what is known of them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dataset.postings import bitmap_of
from index.live_index import LiveIndex
from index.ranked_list import RankedList, Rows
from retrieval.diversity import diverse
from serving.api.request import Method
from serving.engine.cascade import Cascade
from serving.engine.explain_history import contributions, left_out
from serving.engine.explain_text import EXPLAINED
from serving.engine.latency import Latencies
from serving.engine.lookups import embeddings
from serving.engine.resolve import ResolvedRequest
from shortlist_client.api.answer import Answer, Coverage, Degraded, RankedItem, Reason, Source

MARGIN = 0.005
"""Seconds that an answer needs to be serialised and sent"""


@dataclass(frozen=True, kw_only=True)
class AnswerBuilder:
    """Builds answers from the lists of one cascade."""

    cascade: Cascade
    latencies: Latencies

    def __call__(
        self,
        resolved: ResolvedRequest,
        found: RankedList,
        watch: Mapping[str, float],
        started: float,
        *,
        cut: bool = False,
    ) -> Answer:
        """Build the answer to a request.

        Args:
            resolved: The request, its ids resolved.
            found: The whole list, best first.
            watch: Times of the stages, ms.
            started: When work began, seconds of `time.perf_counter`.
            cut: Whether the deadline left no time to rank the list.
        """
        limit, index = resolved.request.limit, self.cascade.retriever.sources.index
        places = np.arange(min(limit, len(found)))
        if diversity := resolved.request.wishes.diversity:
            places = diverse(found.rows, limit, diversity, index, self.cascade.attributes)
        chosen = found.take(places)
        items = [self._item(chosen, place) for place in range(min(limit, len(chosen)))]
        degraded, times = Degraded.DEADLINE if cut else None, dict(watch)
        if items and not cut and resolved.explains_history:
            size = len(items) * len(left_out(resolved.shopper))
            if _in_time(resolved, self.latencies.history_reasons.estimate(size)):
                items = self._with_reasons(resolved, found, places, items, times)
            else:
                degraded = Degraded.REASONS
        if items and not cut and resolved.explains_texts:
            size = len(items[:EXPLAINED])
            if _in_time(resolved, self.latencies.text_reasons.estimate(size)):
                items = self._with_text_reasons(resolved, chosen.rows, items, times)
            else:
                degraded = Degraded.REASONS
        return Answer(
            items=items,
            basis=resolved.basis,
            coverage=coverage(resolved, found, index),
            unknown_item_ids=resolved.unknown_item_ids,
            unknown_user=resolved.unknown_user,
            degraded=degraded,
            milliseconds={**times, "total": 1e3 * (time.perf_counter() - started)},
        )

    def embedded(self, resolved: ResolvedRequest, started: float) -> Answer:
        """Build an answer of embeddings, without items."""
        watch: dict[str, float] = {}
        made = embeddings(resolved, self.cascade, watch)
        nothing = RankedList.of(np.empty(0, np.int32), np.empty(0, np.float32))
        return replace(self(resolved, nothing, watch, started), embeddings=made)

    def _item(self, found: RankedList, place: int) -> RankedItem:
        row, catalogue = int(found.rows[place]), self.cascade.catalogue
        by = ((Source.TOWERS, found.by_towers), (Source.NEIGHBOURS, found.by_neighbours))
        return RankedItem(
            item_id=catalogue.item_id(row),
            title=catalogue.title(row),
            score=float(found.scores[place]),
            tower_score=_known(float(found.cosines[place])),
            neighbour_score=_known(float(found.neighbour_scores[place])),
            sources=tuple(source for source, recalled in by if recalled[place]),
            shortlist_rank=int(found.shortlist_ranks[place]) or None,
            ranker_score=_known(float(found.ranker_scores[place])),
        )

    def _with_reasons(
        self,
        resolved: ResolvedRequest,
        found: RankedList,
        places: NDArray[np.int64],
        items: list[RankedItem],
        watch: dict[str, float],
    ) -> list[RankedItem]:
        """Every item with its reasons, the largest contribution first."""
        rows, started = left_out(resolved.shopper), time.perf_counter()
        lower = contributions(resolved.shopper, rows, found, places, cascade=self.cascade)
        taken = time.perf_counter() - started
        self.latencies.history_reasons.record(lower.size, taken)
        watch["reasons"] = 1e3 * taken
        item_ids = [self.cascade.catalogue.item_id(row) for row in rows.tolist()]
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

    def _with_text_reasons(
        self,
        resolved: ResolvedRequest,
        rows: Rows,
        items: list[RankedItem],
        watch: dict[str, float],
    ) -> list[RankedItem]:
        """All items, the first of them with the reasons that lie in their texts."""
        started, first = time.perf_counter(), rows[:EXPLAINED]
        (user,) = self.cascade.retriever.embed_all([resolved.shopper], {})
        reasons = self.cascade.text_reasons(
            user, first, self.cascade.catalogue, self.cascade.retriever.sources.index
        )
        taken = time.perf_counter() - started
        self.latencies.text_reasons.record(len(first), taken)
        watch["text_reasons"] = 1e3 * taken
        explained = [
            replace(item, text_reasons=of_item)
            for item, of_item in zip(items, reasons, strict=False)
        ]
        return explained + items[len(explained) :]


def coverage(resolved: ResolvedRequest, found: RankedList, index: LiveIndex) -> Coverage:
    """How many items each stage looked at.

    Args:
        resolved: The request, its ids resolved.
        found: The whole list, before any choice.
        index: The index that was searched.
    """
    return Coverage(
        corpus=index.live,
        searched=_searched(resolved, index),
        recalled=len(found),
        ranked=found.ranked,
    )


def _searched(resolved: ResolvedRequest, index: LiveIndex) -> int:
    shopper, given = resolved.shopper, resolved.given
    if given is not None and resolved.request.method is Method.RANK:
        return len(given)
    excluded = shopper.history if given is None else given
    gone = index.current(np.unique(index.origins(excluded)))
    gone = gone[gone >= 0]
    if shopper.allowed is None:
        return index.live - len(gone)
    return len(shopper.allowed) - shopper.allowed.intersection_cardinality(bitmap_of(gone))


def _in_time(resolved: ResolvedRequest, seconds: float) -> bool:
    return resolved.request.deadline >= time.monotonic() + MARGIN + seconds


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value

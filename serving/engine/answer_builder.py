"""Builds an answer from a ranked list: chooses items, describes them, explains them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dataset.postings import bitmap_of
from index.arrays import Rows
from index.live_index import LiveIndex
from index.ranked_list import RankedList
from retrieval.diversity import diversify
from retrieval.taste import Taste
from serving.api.request import Method
from serving.engine.cascade import Cascade
from serving.engine.explain_history import contributions, rows_to_remove
from serving.engine.explain_text import EXPLAINED_ITEMS
from serving.engine.latency import Latencies
from serving.engine.lookups import embeddings as embeddings_of
from serving.engine.pieces import Paused, Pieces, within_deadline
from serving.engine.predictions import predictions, target_of
from serving.engine.profiler import Profiler
from serving.engine.resolve import ResolvedRequest
from shortlist_client.api.answer import (
    Answer,
    Basis,
    Coverage,
    Degraded,
    Embedding,
    RankedItem,
    Reason,
    Source,
    TextReason,
)


@dataclass(frozen=True, kw_only=True)
class AnswerBuilder:
    """Builds answers from the ranked lists of one cascade."""

    cascade: Cascade
    latencies: Latencies

    def __call__(
        self,
        resolved: ResolvedRequest,
        ranked_list: RankedList,
        stage_times: Mapping[str, float],
        started: float,
        *,
        out_of_time: bool = False,
    ) -> Paused[Answer]:
        """Build the answer to a request, in pieces if it is explained.

        Args:
            resolved: The request, its ids resolved.
            ranked_list: The whole list, best first.
            stage_times: Times of the stages, ms.
            started: Start of the work, seconds of `time.perf_counter`.
            out_of_time: Whether the deadline left no time to rank the list.
        """
        if resolved.request.method is Method.PROFILE:
            return self._profiled(resolved, ranked_list, stage_times, started)
        limit, index = resolved.request.limit, self.cascade.retriever.sources.index
        wishes = resolved.request.wishes
        places = np.arange(len(ranked_list))
        if wishes.min_probability:
            likely = self._probabilities(resolved, ranked_list) >= wishes.min_probability
            places = np.flatnonzero(likely)
        if wishes.diversity:
            rows, attributes = ranked_list.rows[places], self.cascade.attributes
            taste = self._taste(resolved, rows)
            wished = wishes.diversity
            places = places[diversify(rows, limit, wished, index, attributes, taste=taste)]
        places = places[:limit]
        chosen = ranked_list.take(places)
        probabilities = self._probabilities(resolved, chosen).tolist()
        items = [self._item(chosen, place, own) for place, own in enumerate(probabilities)]
        degraded, times = Degraded.DEADLINE if out_of_time else None, dict(stage_times)
        if items and not out_of_time and resolved.explains_history:
            reasoned = yield from self._with_reasons(resolved, ranked_list, places, items, times)
            items, degraded = reasoned or items, degraded if reasoned else Degraded.REASONS
        if items and not out_of_time and resolved.explains_texts:
            reasoned = yield from self._with_text_reasons(resolved, chosen.rows, items, times)
            items, degraded = reasoned or items, degraded if reasoned else Degraded.REASONS
        return Answer(
            items=items,
            basis=resolved.basis,
            coverage=coverage(resolved, ranked_list, index),
            unknown_item_ids=resolved.unknown_item_ids,
            unknown_user=resolved.unknown_user,
            degraded=degraded,
            milliseconds={**times, "total": 1e3 * (time.perf_counter() - started)},
        )

    def embedded(self, resolved: ResolvedRequest, started: float) -> Paused[Answer]:
        """Build an answer of embeddings, without items; in pieces if there are many texts."""
        stage_times: dict[str, float] = {}
        embedded = yield from embeddings_of(resolved, self.cascade, stage_times)
        nothing = RankedList.of(np.empty(0, np.int32), np.empty(0, np.float32))
        answer = yield from self(resolved, nothing, stage_times, started)
        return replace(answer, embeddings=embedded)

    def _profiled(
        self,
        resolved: ResolvedRequest,
        shortlist: RankedList,
        stage_times: Mapping[str, float],
        started: float,
    ) -> Answer:
        """Build an answer with a profile and, if asked for, the embedding, without items."""
        begun, embeddings = time.perf_counter(), list[Embedding]()
        profile = Profiler(cascade=self.cascade)(resolved.shopper, shortlist)
        if resolved.request.with_embedding and resolved.embeds:
            (user,) = self.cascade.retriever.embed_all([resolved.shopper], {})
            embeddings.append(Embedding(values=tuple(user.tolist())))
        ended = time.perf_counter()
        times = {"profile": 1e3 * (ended - begun), "total": 1e3 * (ended - started)}
        return Answer(
            items=[],
            basis=resolved.basis,
            coverage=coverage(resolved, shortlist, self.cascade.retriever.sources.index),
            unknown_item_ids=resolved.unknown_item_ids,
            unknown_user=resolved.unknown_user,
            embeddings=embeddings,
            profile=profile,
            milliseconds={**stage_times, **times},
        )

    def classified(self, resolved: ResolvedRequest, started: float) -> Paused[Answer]:
        """Build an answer of predictions, without items; in pieces if there are many texts."""
        stage_times: dict[str, float] = {}
        request, given = resolved.request, resolved.given
        assert given is not None
        predicted = yield from predictions(request, given, self.cascade, stage_times)
        nothing = RankedList.of(np.empty(0, np.int32), np.empty(0, np.float32))
        answer = yield from self(resolved, nothing, stage_times, started)
        target = target_of(request.labelling, self.cascade)
        return replace(answer, predictions=predicted, target=target.name)

    def _taste(self, resolved: ResolvedRequest, rows: Rows) -> Taste | None:
        """Values of the attribute that a request is calibrated by; None if it is not."""
        diversity, profiler = resolved.request.wishes.diversity, Profiler(cascade=self.cascade)
        if not diversity.calibrated:
            return None
        attributes = {one.name: one for one in self.cascade.profiles.attributes}
        attribute = attributes[diversity.calibrated_by or next(iter(attributes))]
        return Taste.of(
            attribute,
            resolved.shopper.history,
            rows,
            lambda row: profiler.added(attribute, row),
        )

    def _probabilities(
        self, resolved: ResolvedRequest, ranked_list: RankedList
    ) -> NDArray[np.float64]:
        """(items,) probability of each item to be among the next ones, NaN if unknown."""
        if not resolved.has_probabilities:
            return np.full(len(ranked_list), np.nan)
        found = self.cascade.calibration.probabilities(
            ranked_list.ranker_scores,
            ranked_list.shortlist_scores,
            searched=resolved.basis is Basis.SEARCH,
        )
        learnt = ranked_list.shortlist_ranks <= self.cascade.calibrated_head
        return np.where(learnt, found, np.nan)

    def _item(self, ranked_list: RankedList, place: int, probability: float) -> RankedItem:
        row, catalogue = int(ranked_list.rows[place]), self.cascade.catalogue
        by = (
            (Source.TOWERS, ranked_list.by_towers),
            (Source.NEIGHBOURS, ranked_list.by_neighbours),
            (Source.BEST_SELLERS, ranked_list.by_sales),
            (Source.OWN_ITEMS, ranked_list.by_own),
            (Source.WORDS, ranked_list.by_words),
            (Source.GENERATED, ranked_list.by_generated),
        )
        return RankedItem(
            item_id=catalogue.item_id(row),
            title=catalogue.title(row),
            score=float(ranked_list.scores[place]),
            tower_score=_none_if_nan(float(ranked_list.cosines[place])),
            neighbour_score=_none_if_nan(float(ranked_list.neighbour_scores[place])),
            sources=tuple(source for source, recalled in by if recalled[place]),
            shortlist_rank=int(ranked_list.shortlist_ranks[place]) or None,
            ranker_score=_none_if_nan(float(ranked_list.ranker_scores[place])),
            probability=_none_if_nan(probability),
        )

    def _with_reasons(
        self,
        resolved: ResolvedRequest,
        ranked_list: RankedList,
        places: NDArray[np.int64],
        items: list[RankedItem],
        stage_times: dict[str, float],
    ) -> Paused[list[RankedItem] | None]:
        """The items with their reasons, the largest contribution first; None without the time."""
        rows, latency = rows_to_remove(resolved.shopper), self.latencies.history_reasons
        work = contributions(resolved.shopper, rows, ranked_list, places, cascade=self.cascade)
        size = len(items) * len(rows)
        done = yield from within_deadline(work, resolved.request.deadline, latency, size)
        if done is None:
            return None
        contribution, seconds = done
        stage_times["reasons"] = 1e3 * seconds
        item_ids = [self.cascade.catalogue.item_id(row) for row in rows.tolist()]
        return [
            replace(
                item,
                reasons=tuple(
                    Reason(item_id=item_ids[row], contribution=float(of_item[row]))
                    for row in np.argsort(-of_item, kind="stable").tolist()
                ),
            )
            for item, of_item in zip(items, contribution.T, strict=True)
        ]

    def _with_text_reasons(
        self,
        resolved: ResolvedRequest,
        rows: Rows,
        items: list[RankedItem],
        stage_times: dict[str, float],
    ) -> Paused[list[RankedItem] | None]:
        """All items; the first `EXPLAINED_ITEMS` have reasons from their texts.

        None if the deadline left no time.
        """
        first, latency = rows[:EXPLAINED_ITEMS], self.latencies.text_reasons
        work = self._text_reasons(resolved, first)
        done = yield from within_deadline(work, resolved.request.deadline, latency, len(first))
        if done is None:
            return None
        reasons, seconds = done
        stage_times["text_reasons"] = 1e3 * seconds
        explained = [
            replace(item, text_reasons=of_item)
            for item, of_item in zip(items, reasons, strict=False)
        ]
        return explained + items[len(explained) :]

    def _text_reasons(
        self, resolved: ResolvedRequest, rows: Rows
    ) -> Pieces[list[tuple[TextReason, ...]]]:
        yield 0.0
        retriever = self.cascade.retriever
        (user,) = retriever.embed_all([resolved.shopper], {})
        catalogue, index = self.cascade.catalogue, retriever.sources.index
        return (yield from self.cascade.text_reasons(user, rows, catalogue, index))


def coverage(resolved: ResolvedRequest, ranked_list: RankedList, index: LiveIndex) -> Coverage:
    """Number of items that each stage looked at.

    Args:
        resolved: The request, its ids resolved.
        ranked_list: The whole list, before diversity and the limit.
        index: The index that was searched.
    """
    return Coverage(
        corpus=index.live,
        searched=_searched(resolved, index),
        recalled=len(ranked_list),
        ranked=ranked_list.ranked,
    )


def _searched(resolved: ResolvedRequest, index: LiveIndex) -> int:
    shopper, given = resolved.shopper, resolved.given
    if given is not None and resolved.request.method is Method.RANK:
        return len(given)
    excluded = shopper.left_out if given is None else given
    current = index.current(np.unique(index.origins(excluded)))
    removed = current[current >= 0]
    if shopper.allowed is None:
        return index.live - len(removed)
    return len(shopper.allowed) - shopper.allowed.intersection_cardinality(bitmap_of(removed))


def _none_if_nan(value: float) -> float | None:
    return None if np.isnan(value) else value

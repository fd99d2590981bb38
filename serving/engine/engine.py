"""The cascade: history → user tower → index and neighbour lists → ranker. Plain Python, no gRPC.

One caller at a time. Requests that come together are worked on together: each stage is run once for
all of them. An answer hangs on the query alone but for the last bits of sums in bf16, which depend
on how much is summed beside them. An offline benchmark asks the very same way, one at a time.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from pyroaring import BitMap

from dataset.arrays import load_dataset
from dataset.item_fields import ItemFields
from index.filters.attributes import Attributes
from index.recall_sources import Recalled, Scores
from lineage.stages import open_release
from ranker.ranker import Ranker
from retrieval.blas_threads import leave_cores_to_torch
from retrieval.embedding_cache import NOTHING, CacheConfig, KeptEmbeddings
from retrieval.features import NEWEST, Signals
from retrieval.retriever import Retriever
from serving.api.errors import OtherReleaseError, UnknownItemError
from serving.api.limits import Limits
from serving.api.request import Method, Request
from serving.api.validation import check_answerable
from serving.catalogue.catalogue import Catalogue
from serving.catalogue.live_items import LiveItems
from serving.engine.answer_builder import MARGIN, Answering
from serving.engine.embed import EMBEDS, TEXT_COST
from serving.engine.explain_history import explaining_cost
from serving.engine.explain_text import TextReasons, text_reasons_cost
from serving.engine.latency import Pace
from serving.engine.non_personalised import looked_up
from serving.engine.ranked_list import Candidates
from serving.engine.resolve import Task, begun
from serving.engine.warmup import every_way, keywords_of
from shortlist_client.api.answer import Answer
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.event import Event
from shortlist_client.api.request import Shopper, Wishes

WARM_UPS = 2
Told = tuple[int, Answer | Exception]


@dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """How far the cascade looks."""

    ranked: int | None = None
    """Head of the shortlist that the ranker reads; the rest follows in its order. By default
    as many as the ranker was validated with."""
    limits: Limits = field(default_factory=Limits)
    """What one query may ask for."""
    cache: CacheConfig = NOTHING
    """Of it, `shoppers` are kept here."""

    def __post_init__(self) -> None:
        if self.ranked is not None and not 1 <= self.ranked <= self.limits.shortlist:
            raise ValueError(
                f"ranked must be within 1 and the shortlist of {self.limits.shortlist}, "
                f"got {self.ranked}"
            )


@dataclass(frozen=True, kw_only=True)
class _Found:
    """A task and what was recalled for it."""

    place: int
    task: Task
    recalled: Recalled
    ranked: int
    """Items of the head that are to be ranked"""


class Engine:
    """Answers queries from one release."""

    def __init__(
        self,
        catalogue: Catalogue,
        retriever: Retriever,
        ranker: Ranker,
        signals: Signals,
        attributes: Attributes,
        *,
        versions: Mapping[str, str],
        limits: Limits,
        ranked: int,
        text_reasons: TextReasons,
        pace: Pace | None = None,
        explaining: Pace | None = None,
    ) -> None:
        self._catalogue, self._retriever = catalogue, retriever
        self._ranker, self._signals, self._attributes = ranker, signals, attributes
        self._versions, self._limits, self._ranked = versions, limits, ranked
        self._pace = pace or Pace()
        self._answering = Answering(
            catalogue=catalogue,
            retriever=retriever,
            ranker=ranker,
            signals=signals,
            attributes=attributes,
            pace=explaining or Pace(),
            text_reasons=text_reasons,
        )

    @classmethod
    def load(cls, folder: Path, config: EngineConfig) -> "Engine":
        """Load a release and search it once in every way, so that the first caller does not wait.

        Args:
            folder: Folder of a dataset's stages.
            config: How far to look.

        Raises:
            ArtifactError: the release is incomplete, corrupt or mixed; says which part.
        """
        leave_cores_to_torch()
        release = open_release(folder)
        data, retriever = load_dataset(folder / "data").for_refit(), Retriever.load(folder)
        if config.cache.shoppers:
            kept = KeptEmbeddings(config.cache.shoppers, config.cache.seconds)
            retriever = replace(retriever, kept=kept)
        catalogue = Catalogue(data, ItemFields.load(folder / "data"))
        engine = cls(
            catalogue,
            retriever,
            Ranker.load(folder / "ranker"),
            Signals.load(folder, retriever.sources, data.popularity),
            Attributes.load(folder / "data", len(data.item_ids)),
            versions=release.versions,
            limits=config.limits,
            ranked=config.ranked or release.manifests["ranker"].config["ranked"],
            text_reasons=TextReasons.load(folder, retriever.texts),
        )
        engine.warm_up()
        return engine

    @property
    def versions(self) -> Mapping[str, str]:
        """Fingerprint of every stage of the release."""
        return self._versions

    @property
    def actions(self) -> Sequence[str]:
        """What the release's interactions call what users do."""
        return self._catalogue.actions

    def over(self, items: LiveItems) -> "Engine":
        """The same after some changes of the items."""
        retriever = self._retriever.over(items.index)
        return Engine(
            self._catalogue.over(items),
            retriever,
            self._ranker.over(items.states),
            self._signals.over(retriever.sources),
            items.attributes,
            versions=self._versions,
            limits=self._limits,
            ranked=self._ranked,
            pace=self._pace,
            text_reasons=self._answering.text_reasons,
            explaining=self._answering.pace,
        )

    @property
    def catalogue(self) -> Catalogue:
        """Ids and titles."""
        return self._catalogue

    @property
    def attributes(self) -> Attributes:
        """What items can be filtered by."""
        return self._attributes

    @property
    def ranker(self) -> Ranker:
        """The second half of the cascade."""
        return self._ranker

    @property
    def limits(self) -> Limits:
        """What one query may ask for."""
        return self._limits

    @property
    def retriever(self) -> Retriever:
        """The first half of the cascade."""
        return self._retriever

    @property
    def ranked(self) -> int:
        """Items at most of a shortlist that are ranked."""
        return min(self._ranked, self.shortlist)

    @property
    def shortlist(self) -> int:
        """Items that are recalled: as configured, or the corpus where that is smaller."""
        return max(1, min(self._limits.shortlist, len(self._catalogue)))

    def warm_up(self) -> None:
        """Go every way, so that no caller waits for what is done but once."""
        by_ranker, by_towers = self._ranker.longest, self._retriever.user_tower.longest
        longest = max(by_ranker, by_towers, 1)
        requests = every_way(
            [
                self._catalogue.item_id(row)
                for row in range(min(longest, self._limits.history, len(self._catalogue)))
            ],
            keywords_of(self._attributes),
            Method.RECOMMEND if by_ranker else Method.RETRIEVE,
        )
        for _ in range(WARM_UPS):
            self._pace.forget()  # what is done for the first time says nothing
            for together in ([request] for request in requests):
                list(self.answers(together))
            list(self.answers(requests))
        index = self._retriever.sources.index
        index.search_among(index.vectors(np.zeros(1, np.int32))[0], 1, BitMap([0]))

    def recommend(
        self,
        shopper: Shopper,
        wishes: Wishes = Wishes(),
        *,
        recent: Sequence[Event] = (),
        ranked: int | None = None,
    ) -> Answer:
        """Recall a shortlist, rank its head, and return the first `limit` without the history.

        Args:
            shopper: For whom.
            wishes: What the answer should be like.
            recent: What the user did since the release was built, oldest first.
            ranked: Length of the head; by default as configured.

        Raises:
            InvalidRequestError: the request breaks a rule.
        """
        request = Request(method=Method.RECOMMEND, shopper=shopper, wishes=wishes, recent=recent)
        return self._alone(request, ranked=ranked)

    def retrieve(self, shopper: Shopper, wishes: Wishes = Wishes()) -> Answer:
        """The shortlist's first `limit` in its own order, without the history.

        Raises:
            InvalidRequestError: the request breaks a rule.
        """
        return self._alone(Request(method=Method.RETRIEVE, shopper=shopper, wishes=wishes))

    def rank(
        self, shopper: Shopper, candidates: Sequence[str], wishes: Wishes = Wishes()
    ) -> Answer:
        """Order the given items for the shopper and return the first `limit`.

        Raises:
            InvalidRequestError: the request breaks a rule, or there are no or too many candidates.
        """
        return self._alone(
            Request(method=Method.RANK, shopper=shopper, candidates=candidates, wishes=wishes)
        )

    def similar(self, item_id: str, wishes: Wishes = Wishes()) -> Answer:
        """Nearest neighbours of an item among the items that fit, but for those to leave out.

        Raises:
            InvalidRequestError: the limit, an id or a filter breaks a rule.
            UnknownItemError: the catalogue does not hold the item.
        """
        return self._alone(Request(method=Method.SIMILAR, item_id=item_id, wishes=wishes))

    def _alone(self, request: Request, *, ranked: int | None = None) -> Answer:
        ((_, answer),) = self.answers([request], ranked=ranked)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def cost(self, request: Request) -> int:
        """Items that an answer reads at most: of a history, and to be ranked."""
        known = len(request.shopper.history) or (NEWEST if request.shopper.user_id else 0)
        ranked = {Method.RECOMMEND: self.ranked, Method.RANK: len(request.candidates)}
        return (
            1
            + min(known, NEWEST)
            + ranked.get(request.method, 0)
            + TEXT_COST * len(request.texts)
            + explaining_cost(request)
            + text_reasons_cost(request)
        )

    def answers(self, requests: Sequence[Request], *, ranked: int | None = None) -> Iterator[Told]:
        """Answer some requests together; those without the ranker before it begins.

        Args:
            requests: What is asked.
            ranked: Length of the head that is ranked; by default as configured.

        Yields:
            Places among the requests and their answers; InvalidRequestError, UnknownItemError or
            OtherReleaseError where a request cannot be answered.
        """
        started, watch = time.perf_counter(), dict[str, float]()
        read: list[tuple[int, Task]] = []
        for place, request in enumerate(requests):
            try:
                task = self._begun(request)
            except (InvalidRequestError, UnknownItemError, OtherReleaseError) as error:
                yield place, error
                continue
            if request.method in EMBEDS:
                yield place, self._answering.embedded(task, started)
            elif task.read:
                read.append((place, task))
            else:
                yield place, self._answering(task, self._looked_up(task), watch, started)
        if read:
            head = self.ranked if ranked is None else ranked
            for one, found in self._cascade(read, head, watch):
                cut = one.ranked > 0 and found.ranker_scores is None
                answer = self._answering(one.task, found, watch, started, cut=cut)
                yield one.place, answer

    def _begun(self, request: Request) -> Task:
        check_answerable(request, self._versions.get("release"), self._limits)
        dimension = self._retriever.sources.index.dimension
        return begun(request, self._catalogue, self._attributes, self._limits, dimension=dimension)

    def _cascade(
        self, read: Sequence[tuple[int, Task]], ranked: int, watch: dict[str, float]
    ) -> Iterator[tuple[_Found, Candidates]]:
        """What was found for some shoppers: what needs no ranker first, what is explained last."""
        found = self._recalled(read, ranked, watch)
        covered = self._covered([one for one in found if one.ranked])
        waiting = {one.place for one in covered}
        unranked = [(one, self._unranked(one)) for one in found if one.place not in waiting]
        explained = [pair for pair in unranked if pair[0].task.explained and not pair[0].ranked]
        yield from (pair for pair in unranked if not pair[0].task.explained or pair[0].ranked)
        ordered = list(zip(covered, self._rank(covered, watch), strict=True))
        yield from (pair for pair in ordered if not pair[0].task.explained)
        yield from (*explained, *(pair for pair in ordered if pair[0].task.explained))

    def _looked_up(self, task: Task) -> Candidates:
        return looked_up(task, self._catalogue, self._retriever, size=self.shortlist)

    def _recalled(
        self, read: Sequence[tuple[int, Task]], ranked: int, watch: dict[str, float]
    ) -> list[_Found]:
        every = self._retriever.recall(
            [task.shopper for _, task in read],
            self.shortlist,
            watch,
            given=[task.given for _, task in read],
        )
        heads = {Method.RECOMMEND: ranked, Method.RANK: self._limits.candidates}
        return [
            _Found(
                place=place,
                task=task,
                recalled=recalled,
                ranked=0
                if task.by_towers
                else min(heads.get(task.request.method, 0), len(recalled.rows)),
            )
            for (place, task), recalled in zip(read, every, strict=True)
        ]

    def _covered(self, wanted: Sequence[_Found]) -> list[_Found]:
        """Those that can wait until they and the others are ranked."""
        covered = sorted(wanted, key=lambda one: -one.task.request.deadline)  # the hastiest last
        size = sum(one.ranked for one in covered)
        now = time.monotonic() + MARGIN
        while covered and covered[-1].task.request.deadline < now + self._pace.expected(size):
            size -= covered.pop().ranked
        return covered

    @staticmethod
    def _unranked(one: _Found) -> Candidates:
        """The order of the shortlist; of given items, what the sources say of them."""
        recalled, ranks = one.recalled, None
        if one.task.given is None:
            ranks = 1 + np.arange(len(recalled.rows))
        else:
            recalled = recalled.head(np.argsort(-recalled.scores, kind="stable"))
        return Candidates(
            rows=recalled.rows, scores=recalled.scores, recalled=recalled, ranks=ranks
        )

    def _rank(self, wanted: Sequence[_Found], watch: dict[str, float]) -> list[Candidates]:
        """Heads in the ranker's order and tails behind them; ties keep the order they came in."""
        if not wanted:
            return []
        started = time.perf_counter()
        histories = [one.task.shopper.history for one in wanted]
        heads = [one.recalled.head(np.arange(one.ranked)) for one in wanted]
        signals = [
            self._signals(history, one.recalled)[: one.ranked]
            for history, one in zip(histories, wanted, strict=True)
        ]
        logits = self._ranker.score_all(
            histories, [head.rows for head in heads], [head.scores for head in heads], signals
        )
        taken = time.perf_counter() - started
        watch["ranker"] = 1e3 * taken
        self._pace.book(sum(one.ranked for one in wanted), taken)
        return [self._in_order(*of_one) for of_one in zip(wanted, heads, logits, strict=True)]

    def _in_order(self, one: _Found, head: Recalled, logits: Scores) -> Candidates:
        order = np.argsort(-logits, kind="stable")
        found = Candidates(
            rows=head.rows[order],
            scores=logits[order],
            recalled=head.head(order),
            ranks=1 + order,
            ranker_scores=logits[order],
        )
        if one.task.given is not None:
            return replace(found, ranks=None)
        rest = one.recalled.head(np.arange(one.ranked, len(one.recalled.rows)))
        return found.followed_by(rest, self._ranker.shortlist_weight)

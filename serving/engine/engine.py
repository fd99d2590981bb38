"""The engine: history → user tower → index and item-kNN → ranker. Plain Python, no gRPC.

Not thread-safe: one caller at a time. The engine answers a batch of requests together: each stage
runs once for the whole batch. Answers depend only on the request, up to bf16 rounding, which varies
with the batch size. Offline benchmarks call the same methods, one request at a time.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from pyroaring import BitMap

from index.ranked_list import RankedList
from ranker.depth import Depth
from retrieval.blas_threads import limit_blas_threads
from retrieval.cache_config import NO_CACHE, CacheConfig, CacheLookups
from retrieval.feature_context import NEWEST
from serving.api.errors import OtherReleaseError, PreconditionError, UnknownItemError
from serving.api.limits import Limits
from serving.api.protocol import Placed
from serving.api.request import Method, Request
from serving.engine.answer_builder import AnswerBuilder
from serving.engine.cascade import Cascade
from serving.engine.explain_history import history_reasons_cost
from serving.engine.explain_text import TEXT_COST, text_reasons_cost
from serving.engine.latency import Latencies
from serving.engine.lookups import EMBEDS, look_up
from serving.engine.pieces import MARGIN
from serving.engine.predictions import CLASSIFIES
from serving.engine.replies import replied, search_of
from serving.engine.resolve import ResolvedRequest, resolve
from serving.engine.warmup import warmup_requests
from shortlist_client.api.answer import Answer, Basis
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.event import Event
from shortlist_client.api.privacy import PastInteraction
from shortlist_client.api.profile import Profile
from shortlist_client.api.request import Shopper, Wishes

logger = logging.getLogger(__name__)
WARM_UPS = 2
REFUSALS = (InvalidRequestError, UnknownItemError, OtherReleaseError, PreconditionError)
"""Errors of requests that cannot be answered"""


@dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """Sizes, limits and caches of the engine."""

    ranked: int | None = None
    """Items at the head of the shortlist that the ranker scores; the rest keeps the shortlist's
    order. By default as many as the ranker was validated with."""
    limits: Limits = field(default_factory=Limits)
    """Limits on one request."""
    shortlist: Literal["whole", "auto"] = "whole"
    """`auto` ranks only as many items of each head as validation found worth it; `whole` ranks the
    whole head."""
    cache: CacheConfig = NO_CACHE
    """Cache sizes; the engine uses `shoppers` and `seconds`."""
    verify_keys: tuple[Path, ...] = ()
    """Files of public keys, of which one must have signed the release; none demand no signature."""
    user_key: Path | None = None
    """Key file of the users' names, if they are keyed."""

    def __post_init__(self) -> None:
        if self.ranked is not None and not 1 <= self.ranked <= self.limits.shortlist:
            raise ValueError(
                f"ranked must be within 1 and the shortlist of {self.limits.shortlist}, "
                f"got {self.ranked}"
            )
        if self.ranked is not None and self.shortlist == "auto":
            raise ValueError(
                f"ranked must be absent where shortlist is auto, got {self.ranked}; "
                "`auto` decides how many are ranked"
            )


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Answers requests from one cascade."""

    cascade: Cascade
    """Parts of the release"""
    limits: Limits
    """Limits on one request"""
    head: int
    """Items at the head of a shortlist that the ranker scores, at most"""
    depth: Depth | None = None
    """How many items of a head are worth ranking; None for all"""
    latencies: Latencies = field(default_factory=Latencies)
    """Latency estimates that the engine compares with deadlines"""

    @classmethod
    def load(cls, folder: Path, config: EngineConfig) -> "Engine":
        """Load a release and warm it up, so that the first caller does not wait.

        Args:
            folder: Folder of a dataset's stages, or of a published release.
            config: Sizes, limits and caches.

        Raises:
            ArtifactError: the release is incomplete, corrupt or mixed; the message names the part.
        """
        limit_blas_threads()
        cascade = Cascade.load(
            folder, config.cache, verify_keys=config.verify_keys, user_key=config.user_key
        )
        head = config.ranked or cascade.validated_head
        depth = cascade.calibration.depth if config.shortlist == "auto" else None
        if config.shortlist == "auto" and depth is None and head:
            logger.warning(
                "%s has not learnt how many items are worth ranking, so %d are ranked; "
                "`make ranker` learns it",
                folder,
                head,
            )
        engine = cls(cascade=cascade, limits=config.limits, head=head, depth=depth)
        engine.warm_up()
        return engine

    @property
    def versions(self) -> Mapping[str, str]:
        """Fingerprint of every stage, and the `release` id if it was published."""
        return self.cascade.versions

    @property
    def actions(self) -> Sequence[str]:
        """Names of the actions that change a history."""
        return self.cascade.catalogue.actions

    @property
    def version_token(self) -> object:
        """Identifies the cascade and the hour; changes when answers may change."""
        return self.cascade.version_token, self.cascade.now

    @property
    def cache_lookups(self) -> Mapping[str, CacheLookups]:
        """Hits and misses of the shopper cache, if there is one."""
        cache = self.cascade.retriever.cache
        return {} if cache is None else {"shoppers": cache.lookups}

    @property
    def ranked(self) -> int:
        """Items at the head of a shortlist that the ranker scores, at most."""
        return min(self.head, self.shortlist)

    @property
    def shortlist(self) -> int:
        """Items that recall returns: the limit, or the whole corpus if it is smaller."""
        return max(1, min(self.limits.shortlist, len(self.cascade.catalogue)))

    def past(self, user_id: str) -> Sequence[PastInteraction]:
        """A user's history in the release, oldest first."""
        return self.cascade.catalogue.past(user_id)

    def warm_up(self) -> None:
        """Answer one request of every kind and width, so that no caller pays a first-call cost."""
        cascade = self.cascade
        by_ranker, by_towers = cascade.ranker.max_history, cascade.retriever.user_tower.max_history
        longest = min(max(by_ranker, by_towers, 1), self.limits.history, len(cascade.catalogue))
        requests = warmup_requests(
            [cascade.catalogue.item_id(row) for row in range(longest)],
            [name for name, kind in cascade.attributes.kinds.items() if kind == "keyword"],
            Method.RECOMMEND if by_ranker else Method.RETRIEVE,
            classifies=cascade.classifier is not None,
            replies=cascade.answers is not None,
        )
        for _ in range(WARM_UPS):
            self.latencies.ranking.clear()  # cold times predict nothing
            for request in requests:
                list(self.answers([request]))
            list(self.answers(requests))
        index = cascade.retriever.sources.index
        index.search_among(index.vectors(np.zeros(1, np.int32))[0], 1, BitMap([0]))

    def recommend(
        self,
        shopper: Shopper,
        wishes: Wishes = Wishes(),
        *,
        recent: Sequence[Event] = (),
        ranked: int | None = None,
        now: int | None = None,
    ) -> Answer:
        """Recall a shortlist, rank its head, and return the first `limit` without the history.

        Args:
            shopper: The shopper.
            wishes: Options of the answer.
            recent: Events of the user since the release was built, oldest first.
            ranked: Items to rank; by default as configured.
            now: Unix seconds as of which purchases are counted; by default the clock's.

        Raises:
            InvalidRequestError: the request breaks a rule.
        """
        request = Request(
            method=Method.RECOMMEND, shopper=shopper, wishes=wishes, recent=recent, now=now
        )
        return self._one(request, ranked=ranked)

    def retrieve(self, shopper: Shopper, wishes: Wishes = Wishes()) -> Answer:
        """Recall a shortlist and return its first `limit` items, without the history.

        Raises:
            InvalidRequestError: the request breaks a rule.
        """
        return self._one(Request(method=Method.RETRIEVE, shopper=shopper, wishes=wishes))

    def rank(
        self, shopper: Shopper, candidates: Sequence[str], wishes: Wishes = Wishes()
    ) -> Answer:
        """Rank the given items for the shopper and return the first `limit`.

        Raises:
            InvalidRequestError: the request breaks a rule, or has no or too many candidates.
        """
        return self._one(
            Request(method=Method.RANK, shopper=shopper, candidates=candidates, wishes=wishes)
        )

    def similar(self, item_id: str, wishes: Wishes = Wishes()) -> Answer:
        """Nearest neighbours of an item among the items that pass the filters and exclusions.

        Raises:
            InvalidRequestError: the limit, an id or a filter breaks a rule.
            UnknownItemError: the item is not in the catalogue.
        """
        return self._one(Request(method=Method.SIMILAR, item_id=item_id, wishes=wishes))

    def profile(self, shopper: Shopper, *, now: int | None = None) -> Profile:
        """Interests of a shopper, and likely values of the next item's attributes.

        Args:
            shopper: The shopper, without a search or a vector.
            now: Unix seconds as of which purchases are counted; by default the clock's.

        Raises:
            InvalidRequestError: the request breaks a rule.
        """
        profile = self._one(Request(method=Method.PROFILE, shopper=shopper, now=now)).profile
        assert profile is not None
        return profile

    def _one(self, request: Request, *, ranked: int | None = None) -> Answer:
        ((_, answer),) = filter(None, self.answers([request], ranked=ranked))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def cost(self, request: Request) -> int:
        """Upper bound on the work of a request, in items: history items plus items to rank."""
        known = len(request.shopper.history) or (NEWEST if request.shopper.user_id else 0)
        recalled = dict.fromkeys((Method.RECOMMEND, Method.ANSWER), self.ranked)
        ranked = recalled | {Method.RANK: len(request.candidates)}
        cost = 1 + min(known, NEWEST) + ranked.get(request.method, 0)
        cost += TEXT_COST * request.read_texts
        if request.wishes.explain:
            cost += history_reasons_cost(request)
        if request.wishes.explain_texts:
            cost += text_reasons_cost(request)
        return cost

    def answers(
        self, requests: Sequence[Request], *, ranked: int | None = None
    ) -> Iterator[Placed | None]:
        """Answer a batch of requests and yield each answer as soon as it is ready.

        Args:
            requests: The batch.
            ranked: Items to rank; by default as configured.

        Yields:
            Position in the batch and its answer, in any order; InvalidRequestError,
            UnknownItemError, OtherReleaseError or PreconditionError if a request cannot be
            answered. None between two pieces of long work.
        """
        started, to_embed = time.perf_counter(), dict[int, ResolvedRequest]()
        for place, request in enumerate(requests):
            try:
                resolved = resolve(request, self.cascade, self.limits)
            except REFUSALS as error:
                yield place, error
                continue
            if request.method in EMBEDS:
                embedded = yield from self._build.embedded(resolved, started)
                yield place, embedded
            elif request.method is Method.ANSWER:
                yield from self._replied(place, resolved)
            elif request.method in CLASSIFIES:
                classified = yield from self._build.classified(resolved, started)
                yield place, classified
            elif resolved.embeds:
                to_embed[place] = resolved
            else:
                ranked_list = look_up(resolved, self.cascade, size=self.shortlist)
                answer = yield from self._build(resolved, ranked_list, {}, started)
                yield place, answer
        if to_embed:
            yield from self._run_cascade(to_embed, ranked, started)

    def _replied(self, place: int, resolved: ResolvedRequest) -> Iterator[Placed | None]:
        """Answer a question, after a search for it by the same cascade."""
        for placed in self.answers([search_of(resolved.request)]):
            if placed is None:
                yield None
            elif isinstance(found := placed[1], Answer):
                yield place, replied(resolved.request, found, self.cascade)
            else:
                yield place, found

    @cached_property
    def _build(self) -> AnswerBuilder:
        return AnswerBuilder(cascade=self.cascade, latencies=self.latencies)

    def _run_cascade(
        self, requests: Mapping[int, ResolvedRequest], ranked: int | None, started: float
    ) -> Iterator[Placed | None]:
        """Run the cascade; answers without ranking come first, explained answers come last."""
        stage_times: dict[str, float] = {}
        lists = self._recall(requests, stage_times)
        heads = {
            place: self._head_size(request, lists[place], ranked)
            for place, request in requests.items()
        }
        in_time = self._in_time(requests, {place: size for place, size in heads.items() if size})

        def answer(place: int) -> Iterator[Placed | None]:
            request, out_of_time = requests[place], heads[place] > 0 and place not in in_time
            ranked_list = lists[place]
            if out_of_time and request.given is not None:
                ranked_list = ranked_list.take(np.argsort(-ranked_list.scores, kind="stable"))
            built = yield from self._build(
                request, ranked_list, stage_times, started, out_of_time=out_of_time
            )
            yield place, built

        unranked = [place for place in requests if place not in in_time]
        late = [place for place in unranked if requests[place].explains and not heads[place]]
        for place in unranked:
            if place not in late:
                yield from answer(place)
        if in_time:
            sizes = {place: heads[place] for place in in_time}
            lists |= self._rank(requests, lists, sizes, stage_times)
        explained = [place for place in in_time if requests[place].explains]
        for place in (*(one for one in in_time if one not in explained), *late, *explained):
            yield from answer(place)

    def _recall(
        self, requests: Mapping[int, ResolvedRequest], stage_times: dict[str, float]
    ) -> dict[int, RankedList]:
        recalled = self.cascade.retriever.recall(
            [request.shopper for request in requests.values()],
            self.shortlist,
            stage_times,
            given=[request.given for request in requests.values()],
        )
        return dict(zip(requests, recalled, strict=True))

    def _head_size(
        self, request: ResolvedRequest, shortlist: RankedList, ranked: int | None
    ) -> int:
        """Number of items at the head of a list to rank; None ranks as many as configured."""
        most = self.ranked if ranked is None else ranked
        heads = {Method.RECOMMEND: most, Method.RANK: self.limits.candidates}
        unranked = {Basis.VECTOR} if self.cascade.ranks_searches else {Basis.VECTOR, Basis.SEARCH}
        if request.basis in unranked:
            return 0
        head = min(heads.get(request.request.method, 0), len(shortlist))
        if (
            self.depth is None
            or ranked is not None
            or request.request.method is not Method.RECOMMEND
        ):
            return head
        return min(head, self.depth(-np.sort(-shortlist.shortlist_scores)))

    def _in_time(
        self, requests: Mapping[int, ResolvedRequest], heads: Mapping[int, int]
    ) -> list[int]:
        """Places of the requests whose deadlines leave time to rank, the latest deadline first.

        Args:
            requests: Requests by place.
            heads: Number of items to rank, by place, for requests with at least one.
        """
        places = sorted(heads, key=lambda place: -requests[place].request.deadline)
        size, now = sum(heads.values()), time.monotonic() + MARGIN
        estimate = self.latencies.ranking.estimate
        while places and requests[places[-1]].request.deadline < now + estimate(size):
            size -= heads[places.pop()]
        return places

    def _rank(
        self,
        requests: Mapping[int, ResolvedRequest],
        lists: Mapping[int, RankedList],
        heads: Mapping[int, int],
        stage_times: dict[str, float],
    ) -> dict[int, RankedList]:
        """Lists with their heads in the ranker's order, by place, for the places in `heads`."""
        started, ranker = time.perf_counter(), self.cascade.ranker
        shoppers = {place: requests[place].shopper for place in heads}
        histories = [shopper.history for shopper in shoppers.values()]
        features = [
            self.cascade.features(
                shopper.history,
                lists[place],
                now=shopper.now,
                times=shopper.times,
                interaction_codes=shopper.interaction_codes,
            )[: heads[place]]
            for place, shopper in shoppers.items()
        ]
        logits = ranker.score_all(
            histories,
            [lists[place].rows[:size] for place, size in heads.items()],
            [lists[place].shortlist_scores[:size] for place, size in heads.items()],
            features,
            searches=self.cascade.searches([shopper.search for shopper in shoppers.values()]),
        )
        taken = time.perf_counter() - started
        stage_times["ranker"] = 1e3 * taken
        self.latencies.ranking.record(sum(heads.values()), taken)
        weight = ranker.shortlist_weight
        return {
            place: lists[place].reranked(head_logits, shortlist_weight=weight)
            for place, head_logits in zip(heads, logits, strict=True)
        }

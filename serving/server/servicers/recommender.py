"""Translates requests for the engine and its answers for the wire; decides nothing."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from typing_extensions import override

from protos.recommender.v1 import recommender_pb2 as pb
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceServicer
from serving.api.errors import UnavailableError
from serving.batching.engine_thread import EngineThread
from serving.batching.request_queue import Answered
from serving.server.answer_cache import KeptAnswers, key_of
from serving.server.servicers.recommend_stream import RecommendStreams
from serving.server.user_events import Histories
from shortlist_client.api.answer import Degraded
from shortlist_client.api.request import Ask, Method
from shortlist_client.wire.embed import to_embed_ask, to_embed_response
from shortlist_client.wire.recommend import Request, to_ask, to_message


class RecommenderServicer(RecommenderServiceServicer):
    """The methods of `RecommenderService`. What they raise, the interceptor makes a status."""

    def __init__(
        self,
        engine: EngineThread,
        histories: Histories | None = None,
        kept: KeptAnswers | None = None,
        *,
        draining: asyncio.Event,
        streamed: int,
    ) -> None:
        """Take the parts.

        Args:
            engine: What answers.
            histories: What users did since the release was built; None where nobody tells.
            kept: Answers that need not be computed again; None computes all.
            draining: Set when the server stops.
            streamed: Requests of all streams that wait for the engine or are worked on at a time.
        """
        self._engine, self._histories, self._kept = engine, histories, kept
        self._streams = RecommendStreams(self._patiently, draining=draining, at_once=streamed)

    @override
    async def Recommend(self, request: pb.RecommendRequest, context: Any) -> pb.RecommendResponse:
        answer = await self._answer(Method.RECOMMEND, request, context)
        return pb.RecommendResponse(answer=answer)

    @override
    async def RecommendStream(
        self, request_iterator: AsyncIterator[pb.RecommendStreamRequest], context: Any
    ) -> AsyncIterator[pb.RecommendStreamResponse]:
        async for response in self._streams.answers(request_iterator, deadline=_deadline(context)):
            yield response

    @override
    async def SimilarItems(
        self, request: pb.SimilarItemsRequest, context: Any
    ) -> pb.SimilarItemsResponse:
        answer = await self._answer(Method.SIMILAR, request, context)
        return pb.SimilarItemsResponse(answer=answer)

    @override
    async def Retrieve(self, request: pb.RetrieveRequest, context: Any) -> pb.RetrieveResponse:
        answer = await self._answer(Method.RETRIEVE, request, context)
        return pb.RetrieveResponse(answer=answer)

    @override
    async def Rank(self, request: pb.RankRequest, context: Any) -> pb.RankResponse:
        answer = await self._answer(Method.RANK, request, context)
        return pb.RankResponse(answer=answer)

    @override
    async def Embed(self, request: pb.EmbedRequest, context: Any) -> pb.EmbedResponse:
        ask, lacking = await self._told(to_embed_ask(request, deadline=_deadline(context)))
        if lacking:
            raise UnavailableError("the user's events cannot be read now")
        answer, versions = await self._engine.answer(ask)
        return to_embed_response(answer, versions=versions, request_id=request.request_id)

    async def _told(self, ask: Ask) -> tuple[Ask, bool]:
        """With what the user did since the release was built, and whether that cannot be read."""
        query = ask.query
        if self._histories is None or query.user_id is None or query.history:
            return ask, False
        half = (ask.deadline - time.monotonic()) / 2
        recent = await self._histories.of(query.user_id, patience=half)
        return replace(ask, query=replace(query, recent=recent or ())), recent is None

    async def _patiently(self, ask: Ask) -> Answered:
        """Answer a request of a stream."""
        ask, lacking = await self._told(ask)
        answer, versions = await self._engine.answer(ask, patient=True)
        return (replace(answer, degraded=Degraded.HISTORY) if lacking else answer), versions

    async def _answer(self, method: Method, request: Request, context: Any) -> pb.Answer:
        ask, lacking = await self._told(to_ask(method, request, deadline=_deadline(context)))
        answer = await self._kept_or_computed(ask, request)
        if lacking:
            answer.degraded = pb.DEGRADED_HISTORY
        return answer

    async def _kept_or_computed(self, ask: Ask, request: Request) -> pb.Answer:
        if self._kept is None or (moment := self._engine.moment) is None:
            return await self._computed(ask, request.request_id)
        started, key = time.perf_counter(), key_of(ask.method, request, ask.query.recent)
        answer = self._kept.get(key, moment)
        if answer is None:
            answer = await self._computed(ask, request.request_id)
            self._kept.put(key, moment, answer)
        else:
            answer.request_id = request.request_id
            answer.milliseconds.clear()
            answer.milliseconds["cache"] = 1e3 * (time.perf_counter() - started)
        return answer

    async def _computed(self, ask: Ask, request_id: str) -> pb.Answer:
        answer, versions = await self._engine.answer(ask)
        return to_message(answer, versions=versions, request_id=request_id)


def _deadline(context: Any) -> float:
    """When the caller stops waiting, in seconds of `time.monotonic`; infinite if never."""
    left = context.time_remaining()
    return float("inf") if left is None else time.monotonic() + left

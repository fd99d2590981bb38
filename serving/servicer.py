"""Translates requests for the engine and its answers for the wire; decides nothing."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any

from typing_extensions import override

from protos.recommender.v1 import recommender_pb2 as pb
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceServicer
from serving.embed_wire import to_embed_ask, to_embed_response
from serving.engine_thread import EngineThread
from serving.histories import Histories
from serving.query import Ask, Method
from serving.recommend_stream import RecommendStreams
from serving.waiting import Answered
from serving.wire import Request, to_ask, to_message


class RecommenderServicer(RecommenderServiceServicer):
    """The methods of `RecommenderService`. What they raise, the interceptor makes a status."""

    def __init__(
        self,
        engine: EngineThread,
        histories: Histories | None = None,
        *,
        draining: asyncio.Event,
        streamed: int,
    ) -> None:
        """Take the parts.

        Args:
            engine: What answers.
            histories: What users did since the release was built; None where nobody tells.
            draining: Set when the server stops.
            streamed: Requests of all streams that wait for the engine or are worked on at a time.
        """
        self._engine, self._histories = engine, histories
        ask = partial(self._asked, patient=True)
        self._streams = RecommendStreams(ask, draining=draining, at_once=streamed)

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
        answer, versions = await self._asked(to_embed_ask(request, deadline=_deadline(context)))
        return to_embed_response(answer, versions=versions, request_id=request.request_id)

    async def _asked(self, ask: Ask, *, patient: bool = False) -> Answered:
        """Ask the engine, and tell it what the user did since the release was built."""
        query = ask.query
        if self._histories is not None and query.user_id is not None and not query.history:
            recent = await self._histories.of(query.user_id)
            ask = replace(ask, query=replace(query, recent=recent))
        return await self._engine.answer(ask, patient=patient)

    async def _answer(self, method: Method, request: Request, context: Any) -> pb.Answer:
        ask = to_ask(method, request, deadline=_deadline(context))
        answer, versions = await self._asked(ask)
        return to_message(answer, versions=versions, request_id=request.request_id)


def _deadline(context: Any) -> float:
    """When the caller stops waiting, in seconds of `time.monotonic`; infinite if never."""
    left = context.time_remaining()
    return float("inf") if left is None else time.monotonic() + left

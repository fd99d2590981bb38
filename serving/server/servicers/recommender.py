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
from serving.api.request import Method, Request
from serving.batching.engine_thread import EngineThread
from serving.batching.request_queue import Answered
from serving.server.answer_cache import KeptAnswers, key_of
from serving.server.servicers.recommend_stream import RecommendStreams
from serving.server.user_events import Histories
from shortlist_client.api.answer import Degraded
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.wire.embed import to_embed_response
from shortlist_client.wire.recommend import Request as Message
from shortlist_client.wire.recommend import to_message, to_shopper, to_wishes


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
        asked, lacking = await self._with_recent(_embed_request(request, _deadline(context)))
        if lacking:
            raise UnavailableError("the user's events cannot be read now")
        answer, versions = await self._engine.answer(asked)
        return to_embed_response(answer, versions=versions, request_id=request.request_id)

    async def _with_recent(self, request: Request) -> tuple[Request, bool]:
        """Add what the user did since the release was built; also whether it cannot be read."""
        user_id = request.shopper.user_id
        if self._histories is None or user_id is None or request.shopper.history:
            return request, False
        half = (request.deadline - time.monotonic()) / 2
        recent = await self._histories.of(user_id, patience=half)
        return replace(request, recent=recent or ()), recent is None

    async def _patiently(self, request: Request) -> Answered:
        """Answer a request of a stream."""
        request, lacking = await self._with_recent(request)
        answer, versions = await self._engine.answer(request, patient=True)
        return (replace(answer, degraded=Degraded.HISTORY) if lacking else answer), versions

    async def _answer(self, method: Method, message: Message, context: Any) -> pb.Answer:
        candidates = message.candidate_item_ids if isinstance(message, pb.RankRequest) else ()
        request, lacking = await self._with_recent(
            Request(
                method=method,
                shopper=to_shopper(message),
                wishes=to_wishes(message),
                candidates=tuple(candidates),
                item_id=message.item_id if isinstance(message, pb.SimilarItemsRequest) else "",
                deadline=_deadline(context),
            )
        )
        answer = await self._kept_or_computed(request, message)
        if lacking:
            answer.degraded = pb.DEGRADED_HISTORY
        return answer

    async def _kept_or_computed(self, request: Request, message: Message) -> pb.Answer:
        if self._kept is None or (token := self._engine.version_token) is None:
            return await self._computed(request)
        started, key = time.perf_counter(), key_of(request.method, message, request.recent)
        answer = self._kept.get(key, token)
        if answer is None:
            answer = await self._computed(request)
            self._kept.put(key, token, answer)
        else:
            answer.request_id = request.wishes.request_id
            answer.milliseconds.clear()
            answer.milliseconds["cache"] = 1e3 * (time.perf_counter() - started)
        return answer

    async def _computed(self, request: Request) -> pb.Answer:
        answer, versions = await self._engine.answer(request)
        return to_message(answer, versions=versions, request_id=request.wishes.request_id)


def _embed_request(message: pb.EmbedRequest, deadline: float) -> Request:
    """What is to be embedded, before any other rule is checked.

    Raises:
        InvalidRequestError: nothing is to be embedded.
    """
    target = message.WhichOneof("target")
    if target is None:
        raise InvalidRequestError("target must be a shopper, items or texts, got none")
    return Request(
        method=Method[f"EMBED_{target.upper()}"],
        shopper=to_shopper(message.shopper) if target == "shopper" else Shopper(),
        wishes=Wishes(release=message.release, request_id=message.request_id),
        candidates=tuple(message.items.item_ids),
        texts=tuple(message.texts.texts),
        deadline=deadline,
    )


def _deadline(context: Any) -> float:
    """When the caller stops waiting, in seconds of `time.monotonic`; infinite if never."""
    left = context.time_remaining()
    return float("inf") if left is None else time.monotonic() + left

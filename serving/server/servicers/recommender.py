"""The RecommenderService: translates requests and answers; decides nothing."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from typing_extensions import override

from events.privacy.erased_users import ErasedUsers
from serving.api.errors import UnavailableError
from serving.api.limits import DEFAULT_LIMITS, Limits
from serving.api.request import Method, Request
from serving.batching.engine_thread import EngineThread
from serving.batching.request_queue import Answered
from serving.server.access.about_users import check_about_user, is_withheld, withhold
from serving.server.answer_cache import AnswerCache, Message, key_of
from serving.server.caller import caller_of, deadline_of
from serving.server.interceptors.wrapping import CALL
from serving.server.servicers.answers import message_of
from serving.server.servicers.message_counts import check_counts
from serving.server.servicers.recommend_stream import RecommendStreams
from serving.server.users.exposure_log import ExposureLog
from serving.server.users.user_events import UserEvents
from shortlist_client.api.answer import Degraded
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.request import Shopper
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb
from shortlist_client.proto.recommender.v1.recommender_pb2_grpc import RecommenderServiceServicer
from shortlist_client.wire.answer import embed_response
from shortlist_client.wire.profile import profile_response
from shortlist_client.wire.reply import reply_response
from shortlist_client.wire.request import to_shopper, to_wishes

SHOWN = (Method.RECOMMEND, Method.RETRIEVE, Method.SIMILAR)
"""Methods whose answers are logged"""


class RecommenderServicer(RecommenderServiceServicer):
    """The methods of `RecommenderService`. ErrorInterceptor turns their errors into statuses."""

    def __init__(
        self,
        engine: EngineThread,
        user_events: UserEvents | None = None,
        cache: AnswerCache | None = None,
        *,
        exposures: ExposureLog | None = None,
        erased: ErasedUsers | None = None,
        draining: asyncio.Event,
        stream_requests: int,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """Take the parts.

        Args:
            engine: Thread of the engine.
            user_events: Users' events since the release was built; None without an event store.
            cache: Cache of answers; None computes every answer.
            exposures: Log of what is shown; None logs nothing.
            erased: Erased users, as the engine knows them; None without an event store.
            draining: Set when the server stops.
            stream_requests: Maximum number of requests in progress, of all streams together.
            limits: Limits on one request.
        """
        self._limits = limits
        self._engine, self._user_events, self._cache = engine, user_events, cache
        self._erased, self._exposures = erased, exposures
        self._streams = RecommendStreams(
            self._answer_of_stream,
            self._show,
            draining=draining,
            at_once=stream_requests,
            limits=limits,
        )

    @override
    async def Recommend(self, request: pb.RecommendRequest, context: Any) -> pb.RecommendResponse:
        check_counts(request, self._limits)
        asked = _about_shopper(Method.RECOMMEND, request, context)
        return pb.RecommendResponse(answer=await self._answer(asked, request))

    @override
    async def RecommendStream(
        self, request_iterator: AsyncIterator[pb.RecommendStreamRequest], context: Any
    ) -> AsyncIterator[pb.RecommendStreamResponse]:
        async for response in self._streams.answers(
            request_iterator, deadline=deadline_of(context), client=caller_of(context)
        ):
            yield response

    @override
    async def SimilarItems(
        self, request: pb.SimilarItemsRequest, context: Any
    ) -> pb.SimilarItemsResponse:
        check_counts(request, self._limits)
        engine_request = Request(
            method=Method.SIMILAR,
            wishes=to_wishes(request.wishes),
            item_id=request.item_id,
            deadline=deadline_of(context),
            client=caller_of(context),
        )
        return pb.SimilarItemsResponse(answer=await self._answer(engine_request, request))

    @override
    async def Retrieve(self, request: pb.RetrieveRequest, context: Any) -> pb.RetrieveResponse:
        check_counts(request, self._limits)
        asked = _about_shopper(Method.RETRIEVE, request, context)
        return pb.RetrieveResponse(answer=await self._answer(asked, request))

    @override
    async def Rank(self, request: pb.RankRequest, context: Any) -> pb.RankResponse:
        check_counts(request, self._limits)
        asked = _about_shopper(Method.RANK, request, context)
        asked = replace(asked, candidates=tuple(request.candidate_item_ids))
        return pb.RankResponse(answer=await self._answer(asked, request))

    @override
    async def Embed(self, request: pb.EmbedRequest, context: Any) -> pb.EmbedResponse:
        check_counts(request, self._limits)
        embed, incomplete = await self._with_recent(_embed_request(request, context))
        if incomplete:
            raise UnavailableError("the user's events cannot be read now")
        answer, versions = await self._engine.answer(embed)
        return embed_response(answer, versions=versions, request_id=embed.wishes.request_id)

    @override
    async def Profile(self, request: pb.ProfileRequest, context: Any) -> pb.ProfileResponse:
        check_counts(request, self._limits)
        asked = _about_shopper(Method.PROFILE, request, context)
        asked = replace(asked, with_embedding=request.with_embedding)
        asked, incomplete = await self._with_recent(asked)
        answer, versions = await self._engine.answer(asked)
        answer = replace(answer, degraded=Degraded.HISTORY) if incomplete else answer
        return profile_response(answer, versions=versions, request_id=asked.wishes.request_id)

    @override
    async def Answer(self, request: pb.AnswerRequest, context: Any) -> pb.AnswerResponse:
        check_counts(request, self._limits)
        asked = Request(
            method=Method.ANSWER,
            wishes=to_wishes(request.wishes),
            texts=(request.question,),
            deadline=deadline_of(context),
            client=caller_of(context),
        )
        answer, versions = await self._engine.answer(asked)
        return reply_response(answer, versions=versions, request_id=asked.wishes.request_id)

    async def _with_recent(self, request: Request) -> tuple[Request, bool]:
        """The request with the user's recent events, and whether they could not be read.

        Raises:
            PermissionDeniedError: the client may not ask this about the user.
        """
        check_about_user(request)
        user_id = request.shopper.user_id
        if self._user_events is None or user_id is None or request.shopper.history:
            return request, False
        half = (request.deadline - time.monotonic()) / 2
        recent = await self._user_events.history(user_id, client=request.client, timeout=half)
        return replace(request, recent=recent or ()), recent is None

    async def _answer_of_stream(self, request: Request) -> Answered:
        """Answer a request of a stream, after all requests outside streams."""
        request, incomplete = await self._with_recent(request)
        answer, versions = await self._engine.answer(request, patient=True)
        return (replace(answer, degraded=Degraded.HISTORY) if incomplete else answer), versions

    async def _answer(self, request: Request, message: Message) -> pb.Answer:
        request, incomplete = await self._with_recent(request)
        answer = await self._cached_or_computed(request, message)
        if incomplete:
            answer.degraded = pb.DEGRADED_HISTORY
        self._show(request, answer)
        if is_withheld(request):
            if (call := CALL.get()) is not None:
                call.stages = dict(answer.milliseconds)
            withhold(answer)
        return answer

    def _show(self, request: Request, answer: pb.Answer) -> None:
        """Log an answer whose items are shown."""
        if self._exposures is not None and request.method in SHOWN:
            self._exposures.log(request, answer)

    async def _cached_or_computed(self, request: Request, message: Message) -> pb.Answer:
        if self._cache is None or (token := self._engine.version_token) is None:
            return await self._computed(request)
        token = token, None if self._erased is None else self._erased.version
        started, key = time.perf_counter(), key_of(request.method, message, request.recent)
        answer = self._cache.get(key, token)
        if answer is None:
            answer = await self._computed(request)
            self._cache.put(key, token, answer)
        else:
            answer.request_id = request.wishes.request_id
            answer.milliseconds.clear()
            answer.milliseconds["cache"] = 1e3 * (time.perf_counter() - started)
        return answer

    async def _computed(self, request: Request) -> pb.Answer:
        answer, versions = await self._engine.answer(request)
        return await message_of(answer, versions=versions, request_id=request.wishes.request_id)


def _about_shopper(
    method: Method,
    message: pb.RecommendRequest | pb.RetrieveRequest | pb.RankRequest | pb.ProfileRequest,
    context: Any,
) -> Request:
    """The request of a message about a shopper, before any rule is checked."""
    return Request(
        method=method,
        shopper=to_shopper(message.shopper),
        wishes=to_wishes(message.wishes),
        deadline=deadline_of(context),
        client=caller_of(context),
    )


def _embed_request(message: pb.EmbedRequest, context: Any) -> Request:
    """The request of a message, before any other rule is checked.

    Raises:
        InvalidRequestError: the message has no target.
    """
    target = message.WhichOneof("target")
    if target is None:
        raise InvalidRequestError("target must be a shopper, items or texts, got none")
    return Request(
        method=Method[f"EMBED_{target.upper()}"],
        shopper=to_shopper(message.shopper) if target == "shopper" else Shopper(),
        wishes=to_wishes(message.wishes),
        candidates=tuple(message.items.item_ids),
        texts=tuple(message.texts.texts),
        deadline=deadline_of(context),
        client=caller_of(context),
    )

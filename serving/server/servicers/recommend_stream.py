"""RecommendStream: recommendations for many shoppers, answered after all other calls."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable

from serving.api.limits import DEFAULT_LIMITS, Limits
from serving.api.request import Method, Request
from serving.batching.fair_slots import FairSlots
from serving.batching.request_queue import Answered
from serving.server.access.about_users import is_withheld, withhold
from serving.server.interceptors.statuses import status_of
from serving.server.servicers.answers import message_of
from serving.server.servicers.message_counts import check_counts
from serving.server.servicers.streaming import answered
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb
from shortlist_client.wire.request import to_shopper, to_wishes

NAME = "RecommendStream"


class RecommendStreams:
    """Answers the requests of all streams, with a common limit; does not know the engine.

    Clients take turns, however many streams each has.
    """

    def __init__(
        self,
        answer: Callable[[Request], Awaitable[Answered]],
        show: Callable[[Request, pb.Answer], None],
        *,
        draining: asyncio.Event,
        at_once: int,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """Take the parts.

        Args:
            answer: Answers one request, after all requests outside streams.
            show: Logs an answer whose items are shown.
            draining: Once set, no more requests are read.
            at_once: Maximum number of requests in progress, of all streams together.
            limits: Limits on one request.
        """
        self._answer, self._show = answer, show
        self._draining, self._limits = draining, limits
        self._slots = FairSlots(at_once)

    async def answers(
        self, requests: AsyncIterator[pb.RecommendStreamRequest], *, deadline: float, client: str
    ) -> AsyncIterator[pb.RecommendStreamResponse]:
        """Answer every request of a stream, each as soon as its answer is ready.

        Args:
            requests: Requests of the stream.
            deadline: Deadline of the stream, in seconds of `time.monotonic`.
            client: Client whose turns the requests take.

        Raises:
            UnavailableError: the stream was cut short by `draining`.
        """
        rows = itertools.count()

        async def work(request: pb.RecommendStreamRequest) -> pb.RecommendStreamResponse:
            return await self._row(next(rows), request, deadline, client)

        async for response in answered(requests, work, draining=self._draining, in_order=False):
            yield response

    async def _row(
        self, row: int, message: pb.RecommendStreamRequest, deadline: float, client: str
    ) -> pb.RecommendStreamResponse:
        request_id = message.wishes.request_id
        response = pb.RecommendStreamResponse(row=row, request_id=request_id)
        try:
            check_counts(message, self._limits)
            request = Request(
                method=Method.RECOMMEND,
                shopper=to_shopper(message.shopper),
                wishes=to_wishes(message.wishes),
                deadline=deadline,
                client=client,
            )
            async with self._slots.one_for(client):
                answer, versions = await self._answer(request)
        except Exception as error:
            status, reason = status_of(error, NAME)
            response.error.CopyFrom(pb.RowError(code=status.value[0], message=reason))
        else:
            response.answer.CopyFrom(
                await message_of(answer, versions=versions, request_id=request_id)
            )
            self._show(request, response.answer)
            if is_withheld(request):
                withhold(response.answer)
        return response

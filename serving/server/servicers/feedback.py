"""The FeedbackService: checks events one by one and stores the valid ones."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from typing_extensions import override

from events.event import Outcome, check_event
from serving.api.validation import check_rows
from serving.server.servicers.streaming import answered
from serving.server.user_events import UserEvents
from shortlist_client.api.event import Event
from shortlist_client.proto.recommender.v1 import feedback_pb2 as pb
from shortlist_client.proto.recommender.v1.feedback_pb2_grpc import FeedbackServiceServicer
from shortlist_client.wire.feedback import to_event

SLICE = 200
"""Events that are read without a pause, about 2 ms."""


class FeedbackServicer(FeedbackServiceServicer):
    """The methods of `FeedbackService`. ErrorInterceptor turns their errors into statuses."""

    def __init__(self, user_events: UserEvents, draining: asyncio.Event) -> None:
        self._user_events, self._draining = user_events, draining
        self._reading = asyncio.Lock()

    @override
    async def Record(
        self, request_iterator: AsyncIterator[pb.RecordRequest], context: Any
    ) -> AsyncIterator[pb.RecordResponse]:
        async for response in answered(request_iterator, self._record, draining=self._draining):
            yield response

    async def _record(self, request: pb.RecordRequest) -> pb.RecordResponse:
        check_rows("events", len(request.events))
        now = time.time()
        async with self._reading:  # one message after the other, so that events stay in order
            events, reasons = await _read(request.events, at=now)
        valid = [row for row, reason in enumerate(reasons) if reason is None]
        outcomes = await self._user_events.append([events[row] for row in valid]) if valid else ()
        for row, outcome in zip(valid, outcomes, strict=True):
            if outcome is Outcome.CONFLICT:
                reasons[row] = "event_id must be new, got that of another event"
        return pb.RecordResponse(
            recorded=sum(outcome is Outcome.RECORDED for outcome in outcomes),
            known_before=sum(outcome is Outcome.REPEATED for outcome in outcomes),
            rejected=_rejected(events, reasons),
        )


async def _read(messages: Sequence[pb.Event], *, at: float) -> tuple[list[Event], list[str | None]]:
    """The events and the rule that each breaks; lets other calls go between two slices."""
    events, reasons = list[Event](), list[str | None]()
    for start in range(0, len(messages), SLICE):
        if start:
            await asyncio.sleep(0)
        read = [to_event(message, at=at) for message in messages[start : start + SLICE]]
        events += read
        reasons += [_broken_rule(event, at=at) for event in read]
    return events, reasons


def _broken_rule(event: Event, *, at: float) -> str | None:
    try:
        check_event(event, at=at)
    except ValueError as error:
        return str(error)
    return None


def _rejected(events: Sequence[Event], reasons: Sequence[str | None]) -> list[pb.RejectedEvent]:
    return [
        pb.RejectedEvent(row=row, event_id=event.event_id, reason=reason)
        for row, (event, reason) in enumerate(zip(events, reasons, strict=True))
        if reason is not None
    ]

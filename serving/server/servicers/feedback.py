"""The FeedbackService: checks events one by one and stores the valid ones."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any

from typing_extensions import override

from events.event import Outcome, check_event
from events.privacy.erased_users import ErasedUsers
from serving.api.validation import check_rows
from serving.batching.fair_slots import FairSlots
from serving.server.access.about_users import broken_user_rule
from serving.server.access.budgets import UserBudgets
from serving.server.access.client import current_client_name
from serving.server.caller import caller_of
from serving.server.interceptors.statuses import shortened
from serving.server.servicers.streaming import answered
from serving.server.users.user_events import UserEvents
from shortlist_client.api.event import Event
from shortlist_client.proto.recommender.v1 import feedback_pb2 as pb
from shortlist_client.proto.recommender.v1.feedback_pb2_grpc import FeedbackServiceServicer
from shortlist_client.wire.feedback import to_event

SLICE = 200
"""Events that are read without a pause, about 2 ms."""


class FeedbackServicer(FeedbackServiceServicer):
    """The methods of `FeedbackService`. ErrorInterceptor turns their errors into statuses."""

    def __init__(
        self,
        user_events: UserEvents,
        draining: asyncio.Event,
        *,
        erased: ErasedUsers | None = None,
    ) -> None:
        self._user_events, self._draining = user_events, draining
        self._erased = erased or ErasedUsers()
        self._budgets = UserBudgets()
        self._reading = FairSlots(1)

    @override
    async def Record(
        self, request_iterator: AsyncIterator[pb.RecordRequest], context: Any
    ) -> AsyncIterator[pb.RecordResponse]:
        record = partial(self._record, caller_of(context))
        async for response in answered(request_iterator, record, draining=self._draining):
            yield response

    async def _record(self, client: str, request: pb.RecordRequest) -> pb.RecordResponse:
        check_rows("events", len(request.events))
        now = self._user_events.clock.latest()
        async with self._reading.one_for(client):  # one by one, so that its events stay in order
            events, reasons = await _read(request.events, self._erased, at=now)
        reasons = [
            reason or broken_user_rule(event.user_id) or self._budgets.broken_rule(event.user_id)
            for event, reason in zip(events, reasons, strict=True)
        ]
        valid = [row for row, reason in enumerate(reasons) if reason is None]
        outcomes = await self._append([events[row] for row in valid], client)
        for row, outcome in zip(valid, outcomes, strict=True):
            if outcome is Outcome.CONFLICT:
                reasons[row] = "event_id must be new, got that of another event"
        return pb.RecordResponse(
            recorded=sum(outcome is Outcome.RECORDED for outcome in outcomes),
            known_before=sum(outcome is Outcome.REPEATED for outcome in outcomes),
            rejected=_rejected(events, reasons),
        )

    async def _append(self, events: Sequence[Event], client: str) -> Sequence[Outcome]:
        """Store events; those that are not new do not count against their users' budgets."""
        outcomes: Sequence[Outcome] = ()
        try:
            if events:
                outcomes = await self._user_events.append(
                    events, client=client, owner=current_client_name()
                )
        finally:
            for event, outcome in zip_longest(events, outcomes):
                if outcome is not Outcome.RECORDED:
                    self._budgets.give_back(event.user_id)
        return outcomes


async def _read(
    messages: Sequence[pb.Event], erased: ErasedUsers, *, at: float
) -> tuple[list[Event], list[str | None]]:
    """The events and the rule that each breaks; lets other calls go between two slices."""
    events, reasons = list[Event](), list[str | None]()
    for start in range(0, len(messages), SLICE):
        if start:
            await asyncio.sleep(0)
        read = [to_event(message, at=at) for message in messages[start : start + SLICE]]
        events += read
        reasons += [_broken_rule(event, erased, at=at) for event in read]
    return events, reasons


def _broken_rule(event: Event, erased: ErasedUsers, *, at: float) -> str | None:
    try:
        check_event(event, at=at)
    except ValueError as error:
        return str(error)
    erased_at = erased.erased_at(event.user_id)
    if erased_at is not None and event.time < erased_at:  # sent again, maybe from a file
        return f"time must be after the user's erasure, got {event.time}"
    return None


def _rejected(events: Sequence[Event], reasons: Sequence[str | None]) -> list[pb.RejectedEvent]:
    return [
        pb.RejectedEvent(row=row, event_id=event.event_id, reason=shortened(reason))
        for row, (event, reason) in enumerate(zip(events, reasons, strict=True))
        if reason is not None
    ]

"""Client of the FeedbackService."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import grpc

from shortlist_client.api.checks import Kind
from shortlist_client.api.event import Event
from shortlist_client.calls import Calls, in_parts
from shortlist_client.proto.recommender.v1 import feedback_pb2
from shortlist_client.proto.recommender.v1.feedback_pb2_grpc import FeedbackServiceStub
from shortlist_client.wire.feedback import event_message

EVENT = Kind("an Event", "Events", (Event,))


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """The result of recording events."""

    recorded: int
    """How many events are new."""
    known_before: int
    """How many events were already stored."""
    rejected: Mapping[int, str]
    """The reason for each other event, by position."""


class FeedbackClient:
    """Records events. Errors are those of `RecommenderClient`."""

    def __init__(self, channel: grpc.Channel, calls: Calls) -> None:
        self._stub, self._calls = FeedbackServiceStub(channel), calls

    def record(self, events: Iterable[Event], *, timeout: float | None = None) -> Recorded:
        """Record events; they are on the server's disk when this returns.

        Args:
            events: Any number, sent in parts. When this raises, send the same objects again: each
                counts once.
            timeout: Deadline of each part, seconds; by default the client's.

        Raises:
            TypeError: a member is not an Event.
            ValueError: no message can hold a field; names the position and the field.
            grpc.RpcError: the server failed or is out of reach; some events may be recorded.
        """
        recorded = known_before = 0
        rejected: dict[int, str] = {}
        for first, part in in_parts("events", events, EVENT, event_message):
            request = feedback_pb2.RecordRequest(events=part)
            response = self._calls.acknowledged(self._stub.Record, request, timeout)
            recorded += response.recorded
            known_before += response.known_before
            rejected |= {first + row.row: row.reason for row in response.rejected}
        return Recorded(recorded=recorded, known_before=known_before, rejected=rejected)

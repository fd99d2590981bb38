"""Client of the FeedbackService."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import grpc

from protos.recommender.v1 import feedback_pb2
from protos.recommender.v1.feedback_pb2_grpc import FeedbackServiceStub
from shortlist_client.api.event import Event
from shortlist_client.catalog import _acknowledged, _parts
from shortlist_client.wire.feedback import event_message


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What became of events."""

    recorded: int
    """Kept from now on."""
    known_before: int
    """Kept before."""
    rejected: Mapping[int, str]
    """Why not, by place among those that were sent."""


class FeedbackClient:
    """Records what users did. Errors are those of `RecommenderClient`."""

    def __init__(self, channel: grpc.Channel, *, timeout: float) -> None:
        self._stub, self._timeout = FeedbackServiceStub(channel), timeout

    def record(self, events: Iterable[Event]) -> Recorded:
        """Record events, which are on the server's disk when this returns.

        Args:
            events: Any number of them, sent some at a time. When this raises, send the same objects
                again: each counts once.

        Raises:
            grpc.RpcError: the server failed or is out of reach; some may be recorded.
        """
        recorded = known_before = 0
        rejected: dict[int, str] = {}
        for first, part in _parts(events):
            request = feedback_pb2.RecordRequest(events=map(event_message, part))
            response = _acknowledged(self._stub.Record, request, self._timeout)
            recorded += response.recorded
            known_before += response.known_before
            rejected |= {first + row.row: row.reason for row in response.rejected}
        return Recorded(recorded=recorded, known_before=known_before, rejected=rejected)

"""Client of the PrivacyService, for operators: what is stored of a user."""

from collections.abc import Iterator

import grpc

from shortlist_client.api.checks import STRING, check
from shortlist_client.api.event import Event
from shortlist_client.api.exposure import Exposure
from shortlist_client.api.privacy import Erased, PastInteraction
from shortlist_client.calls import Calls, precise_errors
from shortlist_client.proto.recommender.v1 import privacy_pb2 as pb
from shortlist_client.proto.recommender.v1.privacy_pb2_grpc import PrivacyServiceStub
from shortlist_client.wire.privacy import to_exposure, to_past, to_stored


class PrivacyClient:
    """Exports and erases users. Errors are those of `RecommenderClient`."""

    def __init__(self, channel: grpc.Channel, calls: Calls) -> None:
        self._stub, self._calls = PrivacyServiceStub(channel), calls

    def erase(self, user_id: str, *, timeout: float | None = None) -> Erased:
        """Erase a user; the server answers as for a stranger when this returns.

        Args:
            user_id: The user.
            timeout: Deadline of this call, seconds; by default the client's.

        Raises:
            grpc.RpcError: the server failed or is out of reach; call again.
        """
        check("user_id", user_id, STRING)
        request = pb.EraseRequest(user_id=user_id)
        response = self._calls.unary(self._stub.Erase, request, timeout)
        return Erased(
            events=response.events,
            interactions=response.interactions,
            exposures=response.exposures,
        )

    def export(
        self, user_id: str, *, timeout: float | None = None
    ) -> Iterator[Event | Exposure | PastInteraction]:
        """All that is stored of a user: events, exposures, then the history in the live release.

        Args:
            user_id: The user.
            timeout: Deadline of the whole stream, seconds; by default the client's.

        Raises:
            grpc.RpcError: the server failed or is out of reach.
        """
        check("user_id", user_id, STRING)
        request, seconds = pb.ExportRequest(user_id=user_id), self._calls.seconds(timeout)
        with precise_errors():
            for part in self._stub.Export(request, timeout=seconds):
                yield from (to_stored(message, user_id=user_id) for message in part.events)
                yield from (to_exposure(message, user_id=user_id) for message in part.exposures)
                yield from map(to_past, part.interactions)

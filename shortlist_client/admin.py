"""The part of the client that is for operators: releases and statistics."""

from collections.abc import Sequence

import grpc

from protos.recommender.v1 import admin_pb2 as pb
from protos.recommender.v1.admin_pb2_grpc import AdminServiceStub
from shortlist_client.api.operations import ReleaseFacts, Statistics
from shortlist_client.wire.admin import to_release, to_statistics

LOADING_SECONDS = 600.0
"""Deadline of what loads a release"""


class AdminClient:
    """Looks at releases, activates them, and asks for statistics.

    Errors are those of `RecommenderClient`, and FAILED_PRECONDITION: it cannot be done as things
    are, nothing has changed, and `details()` says what stands in the way.
    """

    def __init__(self, channel: grpc.Channel, *, timeout: float) -> None:
        self._stub, self._timeout = AdminServiceStub(channel), timeout

    def releases(self) -> Sequence[ReleaseFacts]:
        """Those that are kept, newest first.

        Raises:
            grpc.RpcError: the server serves no releases, failed or is out of reach.
        """
        response = self._stub.ListReleases(pb.ListReleasesRequest(), timeout=self._timeout)
        return [to_release(message) for message in response.releases]

    def load(self, release_id: str, *, timeout: float = LOADING_SECONDS) -> ReleaseFacts:
        """See that the server can load a release; changes nothing.

        Args:
            release_id: Which.
            timeout: Deadline, s.

        Raises:
            grpc.RpcError: it cannot be loaded or is not there, or the server is out of reach.
        """
        request = pb.LoadReleaseRequest(release_id=release_id)
        return to_release(self._stub.LoadRelease(request, timeout=timeout).release)

    def activate(self, release_id: str, *, timeout: float = LOADING_SECONDS) -> ReleaseFacts:
        """Make a release the live one; the server answers from it when this returns.

        Args:
            release_id: Which.
            timeout: Deadline, s; what is not loaded by then does not become live.

        Raises:
            grpc.RpcError: it cannot be loaded or is not there, or the server is out of reach.
        """
        request = pb.ActivateReleaseRequest(release_id=release_id)
        return to_release(self._stub.ActivateRelease(request, timeout=timeout).release)

    def roll_back(self, *, timeout: float = LOADING_SECONDS) -> ReleaseFacts:
        """Activate what the live release replaced. Called twice, it goes back further.

        Args:
            timeout: Deadline, s.

        Raises:
            grpc.RpcError: there is nothing to go back to, it cannot be loaded, or the server is
                out of reach.
        """
        return to_release(self._stub.RollBack(pb.RollBackRequest(), timeout=timeout).release)

    def statistics(self) -> Statistics:
        """What the server serves, and what it did since it was started.

        Raises:
            grpc.RpcError: the server failed or is out of reach.
        """
        response = self._stub.GetStatistics(pb.GetStatisticsRequest(), timeout=self._timeout)
        return to_statistics(response)

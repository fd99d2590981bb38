"""Client of the AdminService, for operators: releases and statistics."""

from collections.abc import Sequence

import grpc

from shortlist_client.api.checks import STRING, check
from shortlist_client.api.operations import ReleaseFacts, Statistics
from shortlist_client.calls import Calls
from shortlist_client.proto.recommender.v1 import admin_pb2 as pb
from shortlist_client.proto.recommender.v1.admin_pb2_grpc import AdminServiceStub
from shortlist_client.wire.admin import to_release, to_statistics

LOADING_SECONDS = 600.0
"""Default deadline of a call that loads a release."""


class AdminClient:
    """Lists and activates releases, returns statistics.

    Errors are those of `RecommenderClient`. FAILED_PRECONDITION means that the server's state
    forbids the call and nothing has changed; `details()` gives the reason.
    """

    def __init__(self, channel: grpc.Channel, calls: Calls) -> None:
        self._stub, self._calls = AdminServiceStub(channel), calls

    def releases(self, *, timeout: float | None = None) -> Sequence[ReleaseFacts]:
        """The stored releases, newest first.

        Args:
            timeout: Deadline of this call, seconds; by default the client's.

        Raises:
            grpc.RpcError: the server serves unpublished stages, failed, or is out of reach.
        """
        request = pb.ListReleasesRequest()
        response = self._calls.unary(self._stub.ListReleases, request, timeout)
        return [to_release(message) for message in response.releases]

    def load(self, release_id: str, *, timeout: float = LOADING_SECONDS) -> ReleaseFacts:
        """Check that the server can load a release; changes nothing.

        Args:
            release_id: The release.
            timeout: Deadline, seconds.

        Raises:
            grpc.RpcError: the release is unknown or cannot be loaded, or the server is out of
                reach.
        """
        check("release_id", release_id, STRING)
        request = pb.LoadReleaseRequest(release_id=release_id)
        return to_release(self._calls.unary(self._stub.LoadRelease, request, timeout).release)

    def activate(self, release_id: str, *, timeout: float = LOADING_SECONDS) -> ReleaseFacts:
        """Make a release live; the server answers from it when this returns.

        Args:
            release_id: The release.
            timeout: Deadline, seconds; a release that is not loaded by then does not become live.

        Raises:
            grpc.RpcError: the release is unknown or cannot be loaded, or the server is out of
                reach.
        """
        check("release_id", release_id, STRING)
        request = pb.ActivateReleaseRequest(release_id=release_id)
        response = self._calls.unary(self._stub.ActivateRelease, request, timeout)
        return to_release(response.release)

    def roll_back(self, *, timeout: float = LOADING_SECONDS) -> ReleaseFacts:
        """Activate the release that the live one replaced. A second call goes back further.

        Args:
            timeout: Deadline, seconds.

        Raises:
            grpc.RpcError: there is no such release, it cannot be loaded, or the server is out of
                reach.
        """
        return to_release(
            self._calls.unary(self._stub.RollBack, pb.RollBackRequest(), timeout).release
        )

    def statistics(self, *, timeout: float | None = None) -> Statistics:
        """What the server serves, and its counts since it started.

        Args:
            timeout: Deadline of this call, seconds; by default the client's.

        Raises:
            grpc.RpcError: the server failed or is out of reach.
        """
        request = pb.GetStatisticsRequest()
        return to_statistics(self._calls.unary(self._stub.GetStatistics, request, timeout))

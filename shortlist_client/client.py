"""A typed, blocking client; needs grpcio and the messages, nothing of the models."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from protos.recommender.v1 import recommender_pb2 as pb
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from shortlist_client.admin import AdminClient
from shortlist_client.api.answer import Answer, Coverage
from shortlist_client.api.checks import STRING, check, members
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.catalog import CatalogClient
from shortlist_client.channel import open_channel
from shortlist_client.embed import EmbedClient
from shortlist_client.errors import asked
from shortlist_client.feedback import FeedbackClient
from shortlist_client.stream import RefusedRow, recommendations
from shortlist_client.wire.recommend import (
    FROM_BASIS,
    FROM_DEGRADED,
    rank_request,
    recommend_request,
    retrieve_request,
    similar_request,
    to_items,
)

POLL_SECONDS = 0.1
JOB_SECONDS = 3600.0
"""Deadline of a stream of requests where none is given"""


@dataclass(frozen=True, kw_only=True)
class Response(Answer):
    """The engine's answer, and who gave it."""

    versions: Mapping[str, str]
    """Fingerprint of each part of the release, by stage."""
    request_id: str
    """As in the request."""


class RecommenderClient:
    """Asks a server; use it in a `with` block.

    Every request has a deadline. What goes wrong is a `grpc.RpcError` with `code()` and
    `details()`: INVALID_ARGUMENT, NOT_FOUND, DEADLINE_EXCEEDED, UNAVAILABLE, INTERNAL,
    RESOURCE_EXHAUSTED, which is an `OverloadedError` where asking again helps, or
    FAILED_PRECONDITION, which is a `ReleaseChangedError` (both of `shortlist_client.errors`).
    """

    def __init__(
        self,
        target: str,
        *,
        timeout: float = 10.0,
        token: str | None = None,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        """Open a channel, which connects when it is first used.

        Args:
            target: `host:port`.
            timeout: Deadline of every request, s.
            token: Who asks, where the server wants to know.
            credentials: For TLS, as of `serving.tls.client_credentials`; None for none.
        """
        self._target, self._timeout = target, timeout
        self._channel = open_channel(target, token=token, credentials=credentials)
        self._stub = RecommenderServiceStub(self._channel)
        self.embed = EmbedClient(self._channel, timeout=timeout)
        """Asks for embeddings."""
        self.catalog = CatalogClient(self._channel, timeout=timeout)
        """Changes items."""
        self.feedback = FeedbackClient(self._channel, timeout=timeout)
        """Records what users did."""
        self.admin = AdminClient(self._channel, timeout=timeout)
        """Looks at releases, activates them, and asks for statistics."""
        self._health: Any = health_pb2_grpc.HealthStub(self._channel)  # its types know no methods

    def __enter__(self) -> "RecommenderClient":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the channel; requests in flight are cancelled."""
        self._channel.close()

    def is_ready(self, *, timeout: float | None = None) -> bool:
        """Whether the server says that it serves.

        Args:
            timeout: How long to look for the server, s; by default as long as for a request.
        """
        try:
            health = self._health.Check(
                health_pb2.HealthCheckRequest(),
                timeout=self._timeout if timeout is None else timeout,
                wait_for_ready=True,
            )
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                return False
            raise
        return bool(health.status == health_pb2.HealthCheckResponse.SERVING)

    def wait_until_ready(self, timeout: float) -> None:
        """Wait until the server is there and has loaded its release.

        Args:
            timeout: How long at most, s.

        Raises:
            TimeoutError: it was not ready by then.
        """
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            if self.is_ready(timeout=left):
                return
            time.sleep(min(POLL_SECONDS, max(0.0, end - time.monotonic())))
        raise TimeoutError(f"{self._target} must be ready within {timeout:g} s, but is not")

    def recommend(
        self, shopper: Shopper, wishes: Wishes = Wishes(), *, timeout: float | None = None
    ) -> Response:
        """What a shopper should see next.

        Args:
            shopper: Whom to recommend to.
            wishes: What the answer should be like.
            timeout: Deadline of this call, seconds; by default the client's.

        Raises:
            ReleaseChangedError: `wishes.release` is no longer live; ask again without it.
            OverloadedError: too many requests wait; ask again after `retry_seconds`.
            grpc.RpcError: a rule is broken, or the server failed or is out of reach.
        """
        return self._answer(self._stub.Recommend, recommend_request(shopper, wishes), timeout)

    def recommend_many(
        self, asked: Iterable[tuple[Shopper, Wishes]], *, timeout: float = JOB_SECONDS
    ) -> Iterator[tuple[int, Response | RefusedRow]]:
        """What many shoppers should see next, for jobs: all other requests come first.

        Args:
            asked: Any number of shoppers and wishes; read no faster than they are answered.
            timeout: Deadline of all of them together, s.

        Yields:
            Places among the requests, in any order, and answers as they come, or why there is none.

        Raises:
            grpc.RpcError: the server stopped, failed or is out of reach; ask again for what is
                missing.
        """
        return recommendations(
            self._stub.RecommendStream, asked, response_of=_response, timeout=timeout
        )

    def retrieve(
        self, shopper: Shopper, wishes: Wishes = Wishes(), *, timeout: float | None = None
    ) -> Response:
        """The head of the shortlist in its own order; otherwise like `recommend`."""
        request = retrieve_request(shopper, wishes)
        return self._answer(self._stub.Retrieve, request, timeout)

    def rank(
        self,
        candidates: Sequence[str],
        shopper: Shopper,
        wishes: Wishes = Wishes(),
        *,
        timeout: float | None = None,
    ) -> Response:
        """The given items in the best order for the shopper: all of them, unless limited.

        Args:
            candidates: Item ids. Unknown ones are skipped and reported.
            shopper: Whom to rank for, without a search or a vector.
            wishes: What the answer should be like, without filters, exclusions or diversity.
            timeout: Deadline of this call, seconds; by default the client's.

        Raises:
            TypeError: the candidates are not a list or tuple of strings.
            grpc.RpcError: like `recommend`.
        """
        request = rank_request(members("candidates", candidates, STRING), shopper, wishes)
        return self._answer(self._stub.Rank, request, timeout)

    def similar(
        self, item_id: str, wishes: Wishes = Wishes(), *, timeout: float | None = None
    ) -> Response:
        """The nearest neighbours of an item.

        Args:
            item_id: An item of the catalogue.
            wishes: What the answer should be like, without diversity or explanations.
            timeout: Deadline of this call, seconds; by default the client's.

        Raises:
            TypeError: the item id is not a string.
            grpc.RpcError: the item is unknown (NOT_FOUND); otherwise like `recommend`.
        """
        check("item_id", item_id, STRING)
        return self._answer(self._stub.SimilarItems, similar_request(item_id, wishes), timeout)

    def _answer(self, method: Any, request: Any, timeout: float | None) -> Response:
        seconds = self._timeout if timeout is None else timeout
        return _response(asked(method, request, timeout=seconds).answer)


def _response(answer: pb.Answer) -> Response:
    return Response(
        items=to_items(answer.items),
        basis=FROM_BASIS[answer.basis],
        unknown_item_ids=tuple(answer.unknown_item_ids),
        unknown_user=answer.unknown_user,
        milliseconds=dict(answer.milliseconds),
        versions=dict(answer.versions),
        request_id=answer.request_id,
        degraded=FROM_DEGRADED[answer.degraded],
        coverage=Coverage(
            corpus=answer.coverage.corpus,
            searched=answer.coverage.searched,
            recalled=answer.coverage.recalled,
            ranked=answer.coverage.ranked,
        ),
    )

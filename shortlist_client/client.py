"""A typed, blocking client of a Shortlist server."""

import time
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from shortlist_client.admin import AdminClient
from shortlist_client.api.answer import Response
from shortlist_client.api.checks import STRING, check, members
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.calls import Calls
from shortlist_client.catalog import CatalogClient
from shortlist_client.channel import open_channel
from shortlist_client.classify import ClassifyClient
from shortlist_client.embed import EmbedClient
from shortlist_client.feedback import FeedbackClient
from shortlist_client.privacy import PrivacyClient
from shortlist_client.profile import Profiled, profile_request, to_profiled
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb
from shortlist_client.proto.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from shortlist_client.reply import Replied, answer_request, to_replied
from shortlist_client.stream import RefusedRow, recommendations
from shortlist_client.wire.answer import to_response
from shortlist_client.wire.build import built
from shortlist_client.wire.request import shopper_message, wishes_message

POLL_SECONDS = 0.1
JOB_SECONDS = 3600.0
"""Default deadline of a stream of requests."""


class RecommenderClient:
    """Calls a server; use it in a `with` block.

    Every call has a deadline. Errors are `grpc.RpcError` with `code()` and `details()`:
    INVALID_ARGUMENT, NOT_FOUND, DEADLINE_EXCEEDED, UNAVAILABLE, INTERNAL; RESOURCE_EXHAUSTED, which
    is an `OverloadedError` when a retry helps; FAILED_PRECONDITION, which is a
    `ReleaseChangedError` when the wishes name another release than the live one. A value of a wrong
    type is a TypeError before anything is sent.
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
            timeout: Deadline of a call that has none of its own, seconds.
            token: Identifies the caller, if the server has a file of clients.
            credentials: For TLS, made by `client_credentials`; without them, nothing is encrypted.
        """
        check("target", target, STRING)
        if token is not None:
            check("token", token, STRING)
        self._target, self._calls = target, Calls(timeout=timeout)
        self._channel = open_channel(target, token=token, credentials=credentials)
        self._stub = RecommenderServiceStub(self._channel)
        self.embed = EmbedClient(self._channel, self._calls)
        """Returns embeddings."""
        self.classify = ClassifyClient(self._channel, self._calls)
        """Predicts labels and numbers of texts and items."""
        self.catalog = CatalogClient(self._channel, self._calls)
        """Changes and returns items."""
        self.feedback = FeedbackClient(self._channel, self._calls)
        """Records events."""
        self.admin = AdminClient(self._channel, self._calls)
        """Lists and activates releases, returns statistics."""
        self.privacy = PrivacyClient(self._channel, self._calls)
        """Exports and erases users."""
        self._health: Any = health_pb2_grpc.HealthStub(self._channel)  # Any: its types lack methods

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
        """Whether the server has loaded its release and serves it.

        Args:
            timeout: How long to wait for a connection, seconds; by default the client's.
        """
        try:
            health = self._health.Check(
                health_pb2.HealthCheckRequest(),
                timeout=self._calls.seconds(timeout),
                wait_for_ready=True,
            )
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                return False
            raise
        return bool(health.status == health_pb2.HealthCheckResponse.SERVING)

    def wait_until_ready(self, timeout: float) -> None:
        """Wait until the server serves its release.

        Args:
            timeout: How long at most, seconds.

        Raises:
            TimeoutError: the server was not ready in time.
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
        """Recommendations for a shopper.

        Args:
            shopper: Whom to recommend to.
            wishes: What the answer should be like.
            timeout: Deadline of this call, seconds; by default the client's.

        Raises:
            ReleaseChangedError: `wishes.release` is no longer live; ask again without it.
            OverloadedError: too many requests wait; ask again after `retry_seconds`.
            grpc.RpcError: a rule is broken, or the server failed or is out of reach.
        """
        request = pb.RecommendRequest(
            shopper=shopper_message(shopper), wishes=wishes_message(wishes)
        )
        return self._answer(self._stub.Recommend, request, timeout)

    def recommend_many(
        self, requests: Iterable[tuple[Shopper, Wishes]], *, timeout: float = JOB_SECONDS
    ) -> Iterator[tuple[int, Response | RefusedRow]]:
        """Recommendations for many shoppers, for batch jobs: all other calls come first.

        Args:
            requests: Any number of shoppers and wishes, read no faster than the server answers.
            timeout: Deadline of the whole stream, seconds.

        Yields:
            Positions among the requests, in any order, and their answers or errors.

        Raises:
            grpc.RpcError: the server stopped, failed or is out of reach; send the rest again.
        """
        seconds = self._calls.seconds(timeout)
        return recommendations(self._stub.RecommendStream, requests, timeout=seconds)

    def retrieve(
        self, shopper: Shopper, wishes: Wishes = Wishes(), *, timeout: float | None = None
    ) -> Response:
        """The head of the shortlist in its own order; otherwise like `recommend`."""
        request = pb.RetrieveRequest(
            shopper=shopper_message(shopper), wishes=wishes_message(wishes)
        )
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
        request = built(
            pb.RankRequest,
            shopper=shopper_message(shopper),
            candidate_item_ids=members("candidates", candidates, STRING),
            wishes=wishes_message(wishes),
        )
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
        request = built(pb.SimilarItemsRequest, item_id=item_id, wishes=wishes_message(wishes))
        return self._answer(self._stub.SimilarItems, request, timeout)

    def profile(
        self,
        shopper: Shopper,
        wishes: Wishes = Wishes(),
        *,
        with_embedding: bool = False,
        timeout: float | None = None,
    ) -> Profiled:
        """Interests of a shopper, and likely values of the next item's attributes.

        Args:
            shopper: Whom to describe, without a search or a vector.
            wishes: Release and request id.
            with_embedding: Whether to add the user tower's embedding.
            timeout: Deadline of this call, seconds; by default the client's.

        Raises:
            TypeError: an argument is of another type.
            grpc.RpcError: like `recommend`.
        """
        request = profile_request(shopper, wishes, with_embedding=with_embedding)
        return to_profiled(self._calls.unary(self._stub.Profile, request, timeout))

    def answer(
        self, question: str, wishes: Wishes = Wishes(), *, timeout: float | None = None
    ) -> Replied:
        """The answer to a question to customer service, from the release's FAQ.

        Args:
            question: As the customer wrote it.
            wishes: Of the products that are found with it: `limit`, by default 3, `filters` and
                `exclude`; and release and request id.
            timeout: Deadline of this call, seconds; by default the client's.

        Raises:
            TypeError: an argument is of another type.
            grpc.RpcError: the release has no FAQ (FAILED_PRECONDITION); otherwise like `recommend`.
        """
        request = answer_request(question, wishes)
        return to_replied(self._calls.unary(self._stub.Answer, request, timeout))

    def _answer(self, method: Any, request: Any, timeout: float | None) -> Response:
        return to_response(self._calls.unary(method, request, timeout).answer)

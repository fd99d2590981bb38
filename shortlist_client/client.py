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
from shortlist_client.api.filters import Filters
from shortlist_client.api.request import Diversity, Query
from shortlist_client.catalog import CatalogClient
from shortlist_client.channel import open_channel
from shortlist_client.embed import EmbedClient
from shortlist_client.errors import asked
from shortlist_client.feedback import FeedbackClient
from shortlist_client.stream import RefusedRow, recommendations
from shortlist_client.wire.recommend import (
    FROM_BASIS,
    FROM_DEGRADED,
    diversity_message,
    filters_message,
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
        self,
        *,
        user_id: str | None = None,
        history: Sequence[str] = (),
        history_times: Sequence[int] = (),
        history_actions: Sequence[str] = (),
        search: str = "",
        vector: Sequence[float] = (),
        filters: Filters | None = None,
        exclude: Sequence[str] = (),
        diversity: Diversity | None = None,
        limit: int = 20,
        explain: bool = False,
        explain_texts: bool = False,
        release: str = "",
        request_id: str = "",
    ) -> Response:
        """What a shopper should see next.

        Args:
            user_id: A user that the release knows.
            history: Item ids, oldest first; wins over the history that the release knows.
            history_times: When each was, Unix seconds; all of them or none.
            history_actions: What the shopper did to each; all of them or none.
            search: What the shopper is looking for, in words.
            vector: An embedding in the place of the shopper's, of the towers' length; not together
                with a search.
            filters: What items must be like; by default every one will do.
            exclude: Item ids to leave out, beside those of the history.
            diversity: How the items must differ; by default they need not.
            limit: Items wanted.
            explain: Whether each item says which items of the history it is there for; takes
                several times as long.
            explain_texts: Whether each item says which fields of its own text it is there for;
                takes longer still.
            release: Id of the release that must answer, as `versions["release"]` of an answer has
                it; by default whichever is live.
            request_id: The caller's own name for the request; comes back in the answer.

        Raises:
            ReleaseChangedError: another release is live; ask without `release` from the start.
            grpc.RpcError: a rule is broken, or the server failed or is out of reach.
        """
        request = pb.RecommendRequest(
            user_id=user_id,
            history_item_ids=history,
            history_times=history_times,
            history_actions=history_actions,
            search=search,
            vector=vector,
            filters=_filters(filters),
            exclude_item_ids=exclude,
            diversity=diversity_message(diversity) if diversity else None,
            limit=limit,
            explain=explain,
            explain_texts=explain_texts,
            release=release,
            request_id=request_id,
        )
        return self._answer(self._stub.Recommend, request)

    def recommend_many(
        self, queries: Iterable[Query], *, release: str = "", timeout: float = JOB_SECONDS
    ) -> Iterator[tuple[int, Response | RefusedRow]]:
        """What many shoppers should see next, for jobs: all other requests come first.

        Args:
            queries: Any number of them; read no faster than they are answered.
            release: Id of the release that must answer; by default whichever is live.
            timeout: Deadline of all of them together, s.

        Yields:
            Places among the queries, in any order, and answers as they come, or why there is none.

        Raises:
            grpc.RpcError: the server stopped, failed or is out of reach; ask again for what is
                missing.
        """
        return recommendations(
            self._stub.RecommendStream,
            queries,
            response_of=_response,
            release=release,
            timeout=timeout,
        )

    def retrieve(
        self,
        *,
        user_id: str | None = None,
        history: Sequence[str] = (),
        history_times: Sequence[int] = (),
        history_actions: Sequence[str] = (),
        search: str = "",
        vector: Sequence[float] = (),
        filters: Filters | None = None,
        exclude: Sequence[str] = (),
        diversity: Diversity | None = None,
        limit: int = 20,
        explain: bool = False,
        explain_texts: bool = False,
        release: str = "",
        request_id: str = "",
    ) -> Response:
        """The head of the shortlist in its own order; arguments as for `recommend`.

        Raises:
            grpc.RpcError: a rule is broken, or the server failed or is out of reach.
        """
        request = pb.RetrieveRequest(
            user_id=user_id,
            history_item_ids=history,
            history_times=history_times,
            history_actions=history_actions,
            search=search,
            vector=vector,
            filters=_filters(filters),
            exclude_item_ids=exclude,
            diversity=diversity_message(diversity) if diversity else None,
            limit=limit,
            explain=explain,
            explain_texts=explain_texts,
            release=release,
            request_id=request_id,
        )
        return self._answer(self._stub.Retrieve, request)

    def rank(
        self,
        candidates: Sequence[str],
        *,
        user_id: str | None = None,
        history: Sequence[str] = (),
        history_times: Sequence[int] = (),
        history_actions: Sequence[str] = (),
        limit: int = 20,
        explain: bool = False,
        explain_texts: bool = False,
        release: str = "",
        request_id: str = "",
    ) -> Response:
        """The given items in the order that suits the shopper; arguments as for `recommend`.

        Raises:
            grpc.RpcError: a rule is broken, or the server failed or is out of reach.
        """
        request = pb.RankRequest(
            user_id=user_id,
            history_item_ids=history,
            history_times=history_times,
            history_actions=history_actions,
            candidate_item_ids=candidates,
            limit=limit,
            explain=explain,
            explain_texts=explain_texts,
            release=release,
            request_id=request_id,
        )
        return self._answer(self._stub.Rank, request)

    def similar(
        self,
        item_id: str,
        *,
        filters: Filters | None = None,
        exclude: Sequence[str] = (),
        limit: int = 20,
        release: str = "",
        request_id: str = "",
    ) -> Response:
        """Nearest neighbours of an item among the items; arguments as for `recommend`.

        Raises:
            grpc.RpcError: the item is unknown (NOT_FOUND), a rule is broken, or the server failed
                or is out of reach.
        """
        request = pb.SimilarItemsRequest(
            item_id=item_id,
            filters=_filters(filters),
            exclude_item_ids=exclude,
            limit=limit,
            release=release,
            request_id=request_id,
        )
        return self._answer(self._stub.SimilarItems, request)

    def _answer(self, method: Any, request: Any) -> Response:
        return _response(asked(method, request, timeout=self._timeout).answer)


def _filters(filters: Filters | None) -> pb.Filters | None:
    return filters_message(filters) if filters else None


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

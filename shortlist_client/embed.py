"""The part of the client that asks for embeddings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from protos.recommender.v1 import recommender_pb2 as pb
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from shortlist_client.api.answer import Embedding
from shortlist_client.api.checks import STRING, members
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.errors import asked
from shortlist_client.wire.embed import to_embeddings


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """Embeddings, and who made them."""

    embeddings: Sequence[Embedding]
    """Of the shopper, 1 or none; of the known items, or of the texts, in their order."""
    unknown_item_ids: Sequence[str]
    """Ids that the catalogue does not hold; they were skipped."""
    unknown_user: bool
    """Nobody tells of the user."""
    milliseconds: Mapping[str, float]
    """Wall time a stage."""
    versions: Mapping[str, str]
    """Fingerprint of each part of the release; embeddings with the same `towers` are comparable."""
    request_id: str
    """As in the request."""


class EmbedClient:
    """Asks for embeddings. Errors are those of `RecommenderClient`."""

    def __init__(self, channel: grpc.Channel, *, timeout: float) -> None:
        self._stub, self._timeout = RecommenderServiceStub(channel), timeout

    def shopper(
        self, shopper: Shopper, wishes: Wishes = Wishes(), *, timeout: float | None = None
    ) -> Embedded:
        """The embedding of a shopper; none where nothing is known.

        Args:
            shopper: Whom to embed, without a vector.
            wishes: A release or a request id; a call refuses all others.
            timeout: Deadline of this call, seconds; by default the client's.
        """
        message = pb.ShopperToEmbed(
            user_id=shopper.user_id,
            history_item_ids=shopper.history,
            history_times=shopper.history_times,
            history_actions=shopper.history_actions,
            search=shopper.search,
        )
        return self._ask(pb.EmbedRequest(shopper=message), wishes, timeout)

    def items(
        self, item_ids: Sequence[str], wishes: Wishes = Wishes(), *, timeout: float | None = None
    ) -> Embedded:
        """Embeddings of items of the catalogue; unknown ones are skipped and reported."""
        message = pb.ItemsToEmbed(item_ids=members("item_ids", item_ids, STRING))
        return self._ask(pb.EmbedRequest(items=message), wishes, timeout)

    def texts(
        self, texts: Sequence[str], wishes: Wishes = Wishes(), *, timeout: float | None = None
    ) -> Embedded:
        """The embeddings that items with these texts would have."""
        message = pb.TextsToEmbed(texts=members("texts", texts, STRING))
        return self._ask(pb.EmbedRequest(texts=message), wishes, timeout)

    def _ask(self, request: pb.EmbedRequest, wishes: Wishes, timeout: float | None) -> Embedded:
        request.release, request.request_id = wishes.release, wishes.request_id
        seconds = self._timeout if timeout is None else timeout
        response: Any = asked(self._stub.Embed, request, timeout=seconds)
        return Embedded(
            embeddings=to_embeddings(response),
            unknown_item_ids=tuple(response.unknown_item_ids),
            unknown_user=response.unknown_user,
            milliseconds=dict(response.milliseconds),
            versions=dict(response.versions),
            request_id=response.request_id,
        )

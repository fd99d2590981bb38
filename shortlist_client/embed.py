"""Client of `Embed`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from shortlist_client.api.answer import Embedding
from shortlist_client.api.checks import STRING, members
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.calls import Calls
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb
from shortlist_client.proto.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from shortlist_client.wire.answer import to_embeddings
from shortlist_client.wire.build import built
from shortlist_client.wire.request import shopper_message, wishes_message


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """Embeddings, and the release that made them."""

    embeddings: Sequence[Embedding]
    """One embedding or none for a shopper; else those of the known items or texts, in order."""
    unknown_item_ids: Sequence[str]
    """Ids that the catalogue does not have; they were skipped."""
    unknown_user: bool
    """Whether neither the release nor any event knows the user."""
    milliseconds: Mapping[str, float]
    """Wall time by stage."""
    versions: Mapping[str, str]
    """Fingerprint of each stage; embeddings with the same `towers` are comparable."""
    request_id: str
    """As in the wishes."""


class EmbedClient:
    """Returns embeddings. Errors are those of `RecommenderClient`.

    `Embed` refuses all wishes except `release` and `request_id`.
    """

    def __init__(self, channel: grpc.Channel, calls: Calls) -> None:
        self._stub, self._calls = RecommenderServiceStub(channel), calls

    def shopper(
        self, shopper: Shopper, wishes: Wishes = Wishes(), *, timeout: float | None = None
    ) -> Embedded:
        """The embedding of a shopper; none when nothing is known of the shopper.

        Args:
            shopper: Whom to embed, without a vector.
            wishes: Release and request id.
            timeout: Deadline of this call, seconds; by default the client's.

        Raises:
            grpc.RpcError: a rule is broken, or the server failed or is out of reach.
        """
        return self._embed(pb.EmbedRequest(shopper=shopper_message(shopper)), wishes, timeout)

    def items(
        self, item_ids: Sequence[str], wishes: Wishes = Wishes(), *, timeout: float | None = None
    ) -> Embedded:
        """The embeddings of items of the catalogue; unknown ones are skipped and reported.

        Args:
            item_ids: The items.
            wishes: Release and request id.
            timeout: Deadline of this call, seconds; by default the client's.

        Raises:
            grpc.RpcError: a rule is broken, or the server failed or is out of reach.
        """
        items = built(pb.ItemsToEmbed, item_ids=members("item_ids", item_ids, STRING))
        return self._embed(pb.EmbedRequest(items=items), wishes, timeout)

    def texts(
        self, texts: Sequence[str], wishes: Wishes = Wishes(), *, timeout: float | None = None
    ) -> Embedded:
        """The embeddings that items with these texts would have.

        Args:
            texts: Whole texts of items.
            wishes: Release and request id.
            timeout: Deadline of this call, seconds; by default the client's.

        Raises:
            grpc.RpcError: a rule is broken, or the server failed or is out of reach.
        """
        message = built(pb.TextsToEmbed, texts=members("texts", texts, STRING))
        return self._embed(pb.EmbedRequest(texts=message), wishes, timeout)

    def _embed(self, request: pb.EmbedRequest, wishes: Wishes, timeout: float | None) -> Embedded:
        request.wishes.CopyFrom(wishes_message(wishes))
        response: Any = self._calls.unary(self._stub.Embed, request, timeout)
        return Embedded(
            embeddings=to_embeddings(response),
            unknown_item_ids=tuple(response.unknown_item_ids),
            unknown_user=response.unknown_user,
            milliseconds=dict(response.milliseconds),
            versions=dict(response.versions),
            request_id=response.request_id,
        )

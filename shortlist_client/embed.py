"""The part of the client that asks for embeddings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from protos.recommender.v1 import recommender_pb2 as pb
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from shortlist_client.api.answer import Embedding
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
        self,
        *,
        user_id: str | None = None,
        history: Sequence[str] = (),
        history_times: Sequence[int] = (),
        history_actions: Sequence[str] = (),
        search: str = "",
        release: str = "",
        request_id: str = "",
    ) -> Embedded:
        """Embed a shopper; arguments as for `RecommenderClient.recommend`."""
        shopper = pb.ShopperToEmbed(
            user_id=user_id,
            history_item_ids=history,
            history_times=history_times,
            history_actions=history_actions,
            search=search,
        )
        return self._ask(pb.EmbedRequest(shopper=shopper, release=release, request_id=request_id))

    def items(
        self, item_ids: Sequence[str], *, release: str = "", request_id: str = ""
    ) -> Embedded:
        """Embeddings of items of the catalogue; unknown ones are skipped and reported."""
        items = pb.ItemsToEmbed(item_ids=item_ids)
        return self._ask(pb.EmbedRequest(items=items, release=release, request_id=request_id))

    def texts(self, texts: Sequence[str], *, release: str = "", request_id: str = "") -> Embedded:
        """Where items of some texts would lie, were there such."""
        message = pb.TextsToEmbed(texts=texts)
        return self._ask(pb.EmbedRequest(texts=message, release=release, request_id=request_id))

    def _ask(self, request: pb.EmbedRequest) -> Embedded:
        response: Any = asked(self._stub.Embed, request, timeout=self._timeout)
        return Embedded(
            embeddings=to_embeddings(response),
            unknown_item_ids=tuple(response.unknown_item_ids),
            unknown_user=response.unknown_user,
            milliseconds=dict(response.milliseconds),
            versions=dict(response.versions),
            request_id=response.request_id,
        )

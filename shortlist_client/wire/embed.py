"""Requests for embeddings as asks, and embeddings as messages and back."""

from collections.abc import Mapping
from dataclasses import replace

from protos.recommender.v1 import recommender_pb2 as pb
from shortlist_client.api.answer import Answer, Embedding
from shortlist_client.api.errors import InvalidQueryError
from shortlist_client.api.request import Ask, Method, Query
from shortlist_client.wire.recommend import to_shopper


def to_embed_ask(request: pb.EmbedRequest, *, deadline: float) -> Ask:
    """What a request for embeddings asks, before any other rule is checked.

    Raises:
        InvalidQueryError: nothing is to be embedded.
    """
    target, query = request.WhichOneof("target"), Query(limit=1)
    if target is None:
        raise InvalidQueryError("target must be a shopper, items or texts, got none")
    method = Method[f"EMBED_{target.upper()}"]
    if method is Method.EMBED_SHOPPER:
        query = replace(to_shopper(request.shopper), search=request.shopper.search, limit=1)
    return Ask(
        method=method,
        query=query,
        candidates=tuple(request.items.item_ids),
        texts=tuple(request.texts.texts),
        release=request.release,
        deadline=deadline,
    )


def to_embed_response(
    answer: Answer, *, versions: Mapping[str, str], request_id: str
) -> pb.EmbedResponse:
    """Embeddings as they travel, in float32 as the towers make them."""
    return pb.EmbedResponse(
        embeddings=[pb.Embedding(**vars(embedding)) for embedding in answer.embeddings],
        unknown_item_ids=answer.unknown_item_ids,
        unknown_user=answer.unknown_user,
        milliseconds=answer.milliseconds,
        versions=versions,
        request_id=request_id,
    )


def to_embeddings(response: pb.EmbedResponse) -> list[Embedding]:
    """Embeddings as the engine gave them."""
    return [
        Embedding(values=tuple(embedding.values), item_id=embedding.item_id)
        for embedding in response.embeddings
    ]

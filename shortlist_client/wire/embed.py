"""Requests for embeddings as asks, and embeddings as messages and back."""

from collections.abc import Mapping

from protos.recommender.v1 import recommender_pb2 as pb
from shortlist_client.api.answer import Answer, Embedding


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

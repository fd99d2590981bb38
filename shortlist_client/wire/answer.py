"""Converts answers to messages and back."""

from collections.abc import Mapping, Sequence

from shortlist_client.api.answer import (
    Answer,
    Basis,
    Coverage,
    Degraded,
    Embedding,
    RankedItem,
    Reason,
    Response,
    Source,
    TextReason,
)
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb

TO_BASIS = {
    Basis.HISTORY: pb.BASIS_HISTORY,
    Basis.POPULARITY: pb.BASIS_POPULARITY,
    Basis.ITEM: pb.BASIS_ITEM,
    Basis.SEARCH: pb.BASIS_SEARCH,
    Basis.VECTOR: pb.BASIS_VECTOR,
    Basis.WITHHELD: pb.BASIS_UNSPECIFIED,
}
TO_DEGRADED = {
    None: pb.DEGRADED_UNSPECIFIED,
    Degraded.DEADLINE: pb.DEGRADED_DEADLINE,
    Degraded.REASONS: pb.DEGRADED_REASONS,
    Degraded.HISTORY: pb.DEGRADED_HISTORY,
}
FROM_DEGRADED = {message: degraded for degraded, message in TO_DEGRADED.items()}
FROM_BASIS = {message: basis for basis, message in TO_BASIS.items()}
TO_SOURCE = {
    Source.TOWERS: pb.SOURCE_TOWERS,
    Source.NEIGHBOURS: pb.SOURCE_NEIGHBOURS,
    Source.BEST_SELLERS: pb.SOURCE_BEST_SELLERS,
    Source.OWN_ITEMS: pb.SOURCE_OWN_ITEMS,
    Source.WORDS: pb.SOURCE_WORDS,
    Source.GENERATED: pb.SOURCE_GENERATED,
}
FROM_SOURCE = {message: source for source, message in TO_SOURCE.items()}


def answer_message(answer: Answer, *, versions: Mapping[str, str], request_id: str) -> pb.Answer:
    """The message of an answer; scores are doubles, so nothing is rounded."""
    return pb.Answer(
        items=[
            pb.RankedItem(
                item_id=item.item_id,
                title=item.title,
                score=item.score,
                tower_score=item.tower_score,
                neighbour_score=item.neighbour_score,
                sources=[TO_SOURCE[source] for source in item.sources],
                shortlist_rank=item.shortlist_rank,
                ranker_score=item.ranker_score,
                probability=item.probability,
                reasons=[pb.Reason(**vars(reason)) for reason in item.reasons],
                text_reasons=[pb.TextReason(**vars(reason)) for reason in item.text_reasons],
            )
            for item in answer.items
        ],
        basis=TO_BASIS[answer.basis],
        unknown_item_ids=answer.unknown_item_ids,
        unknown_user=answer.unknown_user,
        milliseconds=answer.milliseconds,
        versions=versions,
        request_id=request_id,
        degraded=TO_DEGRADED[answer.degraded],
        coverage=pb.Coverage(**vars(answer.coverage)),
    )


def to_response(answer: pb.Answer) -> Response:
    """The answer of a message."""
    return Response(
        items=_to_items(answer.items),
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


def embed_response(
    answer: Answer, *, versions: Mapping[str, str], request_id: str
) -> pb.EmbedResponse:
    """The message of embeddings, in float32 as the towers compute them."""
    return pb.EmbedResponse(
        embeddings=[pb.Embedding(**vars(embedding)) for embedding in answer.embeddings],
        unknown_item_ids=answer.unknown_item_ids,
        unknown_user=answer.unknown_user,
        milliseconds=answer.milliseconds,
        versions=versions,
        request_id=request_id,
    )


def to_embeddings(response: pb.EmbedResponse) -> list[Embedding]:
    """The embeddings of a message."""
    return [
        Embedding(values=tuple(embedding.values), item_id=embedding.item_id)
        for embedding in response.embeddings
    ]


def _to_items(messages: Sequence[pb.RankedItem]) -> list[RankedItem]:
    """The items of messages; an absent score is None, sources of newer servers are left out."""
    return [
        RankedItem(
            item_id=item.item_id,
            title=item.title,
            score=item.score,
            tower_score=item.tower_score if item.HasField("tower_score") else None,
            neighbour_score=item.neighbour_score if item.HasField("neighbour_score") else None,
            sources=tuple(FROM_SOURCE[source] for source in item.sources if source in FROM_SOURCE),
            shortlist_rank=item.shortlist_rank if item.HasField("shortlist_rank") else None,
            ranker_score=item.ranker_score if item.HasField("ranker_score") else None,
            probability=item.probability if item.HasField("probability") else None,
            reasons=tuple(
                Reason(item_id=reason.item_id, contribution=reason.contribution)
                for reason in item.reasons
            ),
            text_reasons=tuple(
                TextReason(field=reason.field, contribution=reason.contribution)
                for reason in item.text_reasons
            ),
        )
        for item in messages
    ]

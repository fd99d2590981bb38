"""Answers as messages and messages as answers: what servicer and client share."""

from collections.abc import Mapping, Sequence

from protos.recommender.v1 import recommender_pb2 as pb
from serving.query import Answer, Basis, Query, RankedItem, Source

TO_BASIS = {
    Basis.HISTORY: pb.BASIS_HISTORY,
    Basis.POPULARITY: pb.BASIS_POPULARITY,
    Basis.ITEM: pb.BASIS_ITEM,
    Basis.SEARCH: pb.BASIS_SEARCH,
}
FROM_BASIS = {message: basis for basis, message in TO_BASIS.items()}
TO_SOURCE = {Source.TOWERS: pb.SOURCE_TOWERS, Source.NEIGHBOURS: pb.SOURCE_NEIGHBOURS}
FROM_SOURCE = {message: source for source, message in TO_SOURCE.items()}


def to_query(request: pb.RecommendRequest | pb.RetrieveRequest | pb.RankRequest) -> Query:
    """What a request about a shopper asks, before any rule is checked."""
    return Query(
        user_id=request.user_id if request.HasField("user_id") else None,
        history=tuple(request.history_item_ids),
        history_times=tuple(request.history_times),
        history_actions=tuple(request.history_actions),
        search="" if isinstance(request, pb.RankRequest) else request.search,
        limit=request.limit,
    )


def to_message(answer: Answer, *, versions: Mapping[str, str], request_id: str) -> pb.Answer:
    """An answer as it travels; floats are doubles, so nothing is rounded."""
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
            )
            for item in answer.items
        ],
        basis=TO_BASIS[answer.basis],
        unknown_item_ids=answer.unknown_item_ids,
        unknown_user=answer.unknown_user,
        milliseconds=answer.milliseconds,
        versions=versions,
        request_id=request_id,
    )


def to_items(messages: Sequence[pb.RankedItem]) -> list[RankedItem]:
    """Items as the engine gave them; an absent score is None."""
    return [
        RankedItem(
            item_id=item.item_id,
            title=item.title,
            score=item.score,
            tower_score=item.tower_score if item.HasField("tower_score") else None,
            neighbour_score=item.neighbour_score if item.HasField("neighbour_score") else None,
            sources=tuple(FROM_SOURCE[source] for source in item.sources),
            shortlist_rank=item.shortlist_rank if item.HasField("shortlist_rank") else None,
            ranker_score=item.ranker_score if item.HasField("ranker_score") else None,
        )
        for item in messages
    ]

"""Answers as messages and messages as answers: what servicer and client share."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp

from protos.recommender.v1 import recommender_pb2 as pb
from shortlist_client.api.answer import (
    Answer,
    Basis,
    Degraded,
    RankedItem,
    Reason,
    Source,
    TextReason,
)
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.filters import EPOCH, AnyOf, Clause, Filters, Range, Value, moment
from shortlist_client.api.request import Diversity, Shopper, Wishes

TO_BASIS = {
    Basis.HISTORY: pb.BASIS_HISTORY,
    Basis.POPULARITY: pb.BASIS_POPULARITY,
    Basis.ITEM: pb.BASIS_ITEM,
    Basis.SEARCH: pb.BASIS_SEARCH,
    Basis.VECTOR: pb.BASIS_VECTOR,
}
TO_DEGRADED = {
    None: pb.DEGRADED_UNSPECIFIED,
    Degraded.DEADLINE: pb.DEGRADED_DEADLINE,
    Degraded.REASONS: pb.DEGRADED_REASONS,
    Degraded.HISTORY: pb.DEGRADED_HISTORY,
}
FROM_DEGRADED = {message: degraded for degraded, message in TO_DEGRADED.items()}
FROM_BASIS = {message: basis for basis, message in TO_BASIS.items()}
TO_SOURCE = {Source.TOWERS: pb.SOURCE_TOWERS, Source.NEIGHBOURS: pb.SOURCE_NEIGHBOURS}
FROM_SOURCE = {message: source for source, message in TO_SOURCE.items()}

OTHER_RELEASE, DOMAIN = "OTHER_RELEASE", "recommender.v1"
"""Reason and domain of the `google.rpc.ErrorInfo` of a request that is bound to another release"""

Request = pb.RecommendRequest | pb.SimilarItemsRequest | pb.RetrieveRequest | pb.RankRequest


def recommend_request(shopper: Shopper, wishes: Wishes) -> pb.RecommendRequest:
    """A request as it travels."""
    return pb.RecommendRequest(
        user_id=shopper.user_id,
        history_item_ids=shopper.history,
        history_times=shopper.history_times,
        history_actions=shopper.history_actions,
        search=shopper.search,
        vector=shopper.vector,
        filters=filters_message(wishes.filters) if wishes.filters else None,
        exclude_item_ids=wishes.exclude,
        diversity=diversity_message(wishes.diversity) if wishes.diversity else None,
        limit=20 if wishes.limit is None else wishes.limit,
        explain=wishes.explain,
        explain_texts=wishes.explain_texts,
        release=wishes.release,
        request_id=wishes.request_id,
    )


def retrieve_request(shopper: Shopper, wishes: Wishes) -> pb.RetrieveRequest:
    """A request as it travels."""
    return pb.RetrieveRequest.FromString(recommend_request(shopper, wishes).SerializeToString())


def rank_request(candidates: Sequence[str], shopper: Shopper, wishes: Wishes) -> pb.RankRequest:
    """A request as it travels."""
    return pb.RankRequest(
        user_id=shopper.user_id,
        history_item_ids=shopper.history,
        history_times=shopper.history_times,
        history_actions=shopper.history_actions,
        candidate_item_ids=candidates,
        limit=len(candidates) if wishes.limit is None else wishes.limit,
        explain=wishes.explain,
        explain_texts=wishes.explain_texts,
        release=wishes.release,
        request_id=wishes.request_id,
    )


def similar_request(item_id: str, wishes: Wishes) -> pb.SimilarItemsRequest:
    """A request as it travels."""
    return pb.SimilarItemsRequest(
        item_id=item_id,
        limit=20 if wishes.limit is None else wishes.limit,
        filters=filters_message(wishes.filters) if wishes.filters else None,
        exclude_item_ids=wishes.exclude,
        release=wishes.release,
        request_id=wishes.request_id,
    )


def to_shopper(message: Request | pb.ShopperToEmbed) -> Shopper:
    """Whom a message is about, before any rule is checked."""
    if isinstance(message, pb.SimilarItemsRequest):
        return Shopper()
    shopper = Shopper(
        user_id=message.user_id if message.HasField("user_id") else None,
        history=message.history_item_ids,
        history_times=message.history_times,
        history_actions=message.history_actions,
    )
    if isinstance(message, pb.RankRequest):
        return shopper
    vector = () if isinstance(message, pb.ShopperToEmbed) else message.vector
    return replace(shopper, search=message.search, vector=vector)


def to_wishes(message: Request) -> Wishes:
    """What a message wishes for, before any rule is checked.

    Raises:
        InvalidRequestError: the filters hold what no value can be.
    """
    wishes = Wishes(limit=message.limit, release=message.release, request_id=message.request_id)
    if not isinstance(message, pb.SimilarItemsRequest):
        wishes = replace(wishes, explain=message.explain, explain_texts=message.explain_texts)
    if isinstance(message, pb.RankRequest):
        return wishes
    wishes = replace(wishes, filters=to_filters(message.filters), exclude=message.exclude_item_ids)
    if isinstance(message, pb.SimilarItemsRequest):
        return wishes
    return replace(wishes, diversity=to_diversity(message.diversity))


def to_diversity(message: pb.Diversity) -> Diversity:
    """How items must differ, before any rule is checked.

    Raises:
        InvalidRequestError: an attribute comes twice.
    """
    at_most: dict[str, int] = {}
    for one in message.at_most:
        if one.attribute in at_most:
            raise InvalidRequestError(
                f"attribute of diversity must not come twice, got {one.attribute!r}"
            )
        at_most[one.attribute] = one.items
    return Diversity(strength=message.strength, at_most=at_most)


def diversity_message(diversity: Diversity) -> pb.Diversity:
    """How items must differ, as it travels."""
    at_most = [pb.AtMost(attribute=name, items=items) for name, items in diversity.at_most.items()]
    return pb.Diversity(strength=diversity.strength, at_most=at_most)


def to_filters(message: pb.Filters) -> Filters:
    """Filters as they are asked, before any rule is checked; a clause of nothing has no value.

    Raises:
        InvalidRequestError: a value is none at all, or a time is out of range.
    """
    return Filters(
        must=tuple(map(_to_clause, message.must)),
        should=tuple(map(_to_clause, message.should)),
        must_not=tuple(map(_to_clause, message.must_not)),
    )


def read_filters(text: str) -> Filters:
    """Filters of the contract's JSON.

    Raises:
        ValueError: it is not JSON of `Filters`.
    """
    try:
        return to_filters(json_format.Parse(text, pb.Filters()))
    except json_format.ParseError as error:
        raise ValueError(f"filters must be JSON of the contract's `Filters`: {error}") from error


def filters_message(filters: Filters) -> pb.Filters:
    """Filters as they travel.

    Raises:
        TypeError: a value is neither keyword, number, boolean, date nor time.
    """
    return pb.Filters(
        must=map(_clause_message, filters.must),
        should=map(_clause_message, filters.should),
        must_not=map(_clause_message, filters.must_not),
    )


def _to_clause(message: pb.Clause) -> Clause:
    if message.WhichOneof("condition") != "range":
        return AnyOf(message.attribute, tuple(map(_to_value, message.any_of.values)))
    bounds = {field.name: _to_value(value) for field, value in message.range.ListFields()}
    return Range(message.attribute, **bounds)


def _to_value(message: pb.Value) -> Value:
    kind = message.WhichOneof("kind")
    if kind is None:
        raise InvalidRequestError("values must be keywords, numbers, booleans or times, got none")
    if kind == "time":
        try:
            micros = message.time.nanos // 1000
            return EPOCH + timedelta(seconds=message.time.seconds, microseconds=micros)
        except OverflowError as error:
            raise InvalidRequestError(
                f"times must be within the years 1 and 9999, got {message.time.seconds} s"
            ) from error
    value: Value = getattr(message, kind)
    return value


def _clause_message(clause: Clause) -> pb.Clause:
    if isinstance(clause, AnyOf):
        any_of = pb.AnyOf(values=map(_value_message, clause.values))
        return pb.Clause(attribute=clause.attribute, any_of=any_of)
    bounds = {name: _value_message(value) for name, value in clause.bounds.items()}
    return pb.Clause(attribute=clause.attribute, range=pb.Range(**bounds))


def _value_message(value: Value) -> pb.Value:
    if isinstance(value, bool):
        return pb.Value(boolean=value)
    if isinstance(value, str):
        return pb.Value(keyword=value)
    if isinstance(value, date):
        since = moment(value) - EPOCH
        seconds, rest = divmod(since, timedelta(seconds=1))
        return pb.Value(time=Timestamp(seconds=seconds, nanos=1000 * rest.microseconds))
    return pb.Value(number=value)


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

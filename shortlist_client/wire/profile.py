"""Converts profiles to messages and back."""

from collections.abc import Mapping

from shortlist_client.api.answer import Answer
from shortlist_client.api.profile import (
    Interest,
    Preference,
    PreferredValue,
    Profile,
    TypicalItem,
)
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb
from shortlist_client.wire.answer import TO_DEGRADED


def profile_response(
    answer: Answer, *, versions: Mapping[str, str], request_id: str
) -> pb.ProfileResponse:
    """The message of an answer that has a profile."""
    profile = answer.profile
    assert profile is not None
    embedding = next((pb.Embedding(**vars(one)) for one in answer.embeddings), None)
    return pb.ProfileResponse(
        sentence=profile.sentence,
        interests=[_interest(interest) for interest in profile.interests],
        preferences=[_preference(preference) for preference in profile.preferences],
        embedding=embedding,
        history_length=profile.history_length,
        unknown_item_ids=answer.unknown_item_ids,
        unknown_user=answer.unknown_user,
        milliseconds=answer.milliseconds,
        versions=versions,
        request_id=request_id,
        degraded=TO_DEGRADED[answer.degraded],
    )


def to_profile(message: pb.ProfileResponse) -> Profile:
    """The profile of a message."""
    return Profile(
        sentence=message.sentence,
        interests=[
            Interest(
                weight=one.weight,
                newest_time=one.newest_time if one.HasField("newest_time") else None,
                age=one.age,
                size=one.size,
                words=tuple(one.words),
                typical_items=[
                    TypicalItem(item_id=item.item_id, title=item.title)
                    for item in one.typical_items
                ],
            )
            for one in message.interests
        ],
        preferences=[
            Preference(
                attribute=one.attribute,
                values=[_to_value(value) for value in one.values],
                learnt=one.learnt,
                several=one.several,
            )
            for one in message.preferences
        ],
        history_length=message.history_length,
    )


def _interest(interest: Interest) -> pb.Interest:
    return pb.Interest(
        weight=interest.weight,
        newest_time=interest.newest_time,
        age=interest.age,
        size=interest.size,
        words=interest.words,
        typical_items=[pb.TypicalItem(**vars(item)) for item in interest.typical_items],
    )


def _preference(preference: Preference) -> pb.Preference:
    return pb.Preference(
        attribute=preference.attribute,
        values=[pb.PreferredValue(**vars(value)) for value in preference.values],
        learnt=preference.learnt,
        several=preference.several,
    )


def _to_value(message: pb.PreferredValue) -> PreferredValue:
    return PreferredValue(
        value=message.value,
        probability=message.probability,
        share=message.share,
        at_least=message.at_least if message.HasField("at_least") else None,
        below=message.below if message.HasField("below") else None,
    )

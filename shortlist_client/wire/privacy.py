"""Converts what is stored of users to messages and back."""

from itertools import zip_longest

from shortlist_client.api.event import Event
from shortlist_client.api.exposure import Exposure
from shortlist_client.api.privacy import PastInteraction
from shortlist_client.proto.recommender.v1 import privacy_pb2

NAMES = (
    "request_id",
    "time",
    "client",
    "placement",
    "method",
    "release",
    "experiment",
    "arm",
    "policy",
)
"""Fields of an exposure that its message has under the same name"""


def stored_message(event: Event) -> privacy_pb2.StoredEvent:
    """The message of a stored event."""
    return privacy_pb2.StoredEvent(
        event_id=event.event_id,
        item_id=event.item_id,
        action=event.action,
        time=event.time,
        request_id=event.request_id,
        position=event.position,
    )


def to_stored(message: privacy_pb2.StoredEvent, *, user_id: str) -> Event:
    """The event of a message about a user."""
    return Event(
        event_id=message.event_id,
        user_id=user_id,
        item_id=message.item_id,
        action=message.action,
        time=message.time,
        request_id=message.request_id,
        position=message.position if message.HasField("position") else None,
    )


def shown_message(exposure: Exposure) -> privacy_pb2.StoredExposure:
    """The message of an exposure."""
    shown = zip_longest(exposure.item_ids, exposure.scores, exposure.propensities)
    return privacy_pb2.StoredExposure(
        items=[
            privacy_pb2.ShownItem(item_id=item_id, score=score, propensity=propensity)
            for item_id, score, propensity in shown
        ],
        **{name: getattr(exposure, name) for name in NAMES},
    )


def to_exposure(message: privacy_pb2.StoredExposure, *, user_id: str) -> Exposure:
    """The exposure of a message about a user."""
    items = message.items
    return Exposure(
        user_id=user_id,
        item_ids=tuple(item.item_id for item in items),
        scores=tuple(item.score for item in items),
        propensities=tuple(item.propensity for item in items if item.HasField("propensity")),
        **{name: getattr(message, name) for name in NAMES},
    )


def past_message(past: PastInteraction) -> privacy_pb2.PastInteraction:
    """The message of an interaction of a history."""
    return privacy_pb2.PastInteraction(item_id=past.item_id, action=past.action, time=past.time)


def to_past(message: privacy_pb2.PastInteraction) -> PastInteraction:
    """The interaction of a message."""
    return PastInteraction(
        item_id=message.item_id,
        action=message.action,
        time=message.time if message.HasField("time") else None,
    )

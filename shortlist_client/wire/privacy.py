"""Converts what is stored of users to messages and back."""

from shortlist_client.api.event import Event
from shortlist_client.api.privacy import PastInteraction
from shortlist_client.proto.recommender.v1 import privacy_pb2


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

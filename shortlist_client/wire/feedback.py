"""Converts events to messages and back."""

from shortlist_client.api.event import Event
from shortlist_client.proto.recommender.v1 import feedback_pb2
from shortlist_client.wire.build import built


def to_event(message: feedback_pb2.Event, *, at: float) -> Event:
    """The event of a message, before any rule is checked; `at` is its time if it has none."""
    return Event(
        event_id=message.event_id,
        user_id=message.user_id,
        item_id=message.item_id,
        action=message.action,
        time=message.time if message.HasField("time") else int(at),
        request_id=message.request_id,
        position=message.position if message.HasField("position") else None,
    )


def event_message(event: Event) -> feedback_pb2.Event:
    """The message of an event.

    Raises:
        ValueError: a field does not fit the contract's type; names it.
    """
    return built(
        feedback_pb2.Event,
        event_id=event.event_id,
        user_id=event.user_id,
        item_id=event.item_id,
        action=event.action,
        time=event.time,
        request_id=event.request_id,
        position=event.position,
    )

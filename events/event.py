"""Rules for events, and the outcomes of storing one."""

import re
from enum import Enum

from shortlist_client.api.event import ID_LENGTH, Event

KEYED = re.compile(r"key([1-9][0-9]{0,3})\.([0-9a-f]{8}):([0-9a-f]{64})")
"""A keyed name, as `events.privacy.user_names` makes it: length of the chain, fingerprint of its
keys, hash. No user may have such an id"""
LAST_POSITION = 2**31 - 1
GRACE = 86_400
"""Seconds that an event may be ahead of the clock; the data stage allows as much."""


class Outcome(Enum):
    """Outcome of appending an event."""

    RECORDED = "recorded"
    """The event was stored."""
    REPEATED = "repeated"
    """The event was stored before; nothing changed."""
    CONFLICT = "conflict"
    """Another event is stored under its id; nothing changed."""


def check_event(event: Event, *, at: float) -> None:
    """Refuse an event that breaks a rule.

    Args:
        event: Event to store.
        at: Current Unix seconds.

    Raises:
        ValueError: a rule is broken; names the field, the rule and the value.
    """
    for name in ("event_id", "user_id", "item_id", "action"):
        value = getattr(event, name)
        check_text(name, value)
        if not value.strip():
            raise ValueError(f"{name} must not be empty, got {value!r}")
    if KEYED.fullmatch(
        event.user_id
    ):  # stored as it is, it would pass for one and bar every new key
        raise ValueError(f"user_id must not look like a keyed name, got {event.user_id!r}")
    check_text("request_id", event.request_id)
    if not 0 <= event.time <= at + GRACE:
        raise ValueError(
            f"time must be Unix seconds, at most a day ahead of {at:.0f}, got {event.time}"
        )
    if event.position is not None and not 1 <= event.position <= LAST_POSITION:
        raise ValueError(f"position must be at least 1, got {event.position}")


def check_text(name: str, value: str) -> None:
    """Refuse a text that is too long or that a store cannot hold.

    Raises:
        ValueError: names the field, the rule and the value.
    """
    if len(value) > ID_LENGTH:
        raise ValueError(f"{name} must have at most {ID_LENGTH} characters, got {len(value)}")
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError(f"{name} must be text without NUL or lone surrogates, got {value!r}")

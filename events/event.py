"""One thing that a shopper did or was shown, and the rules that it keeps."""

import time
import uuid
from dataclasses import dataclass, field
from enum import Enum

IMPRESSION, CLICK, PURCHASE = "impression", "click", "purchase"
ID_LENGTH = 256
"""Characters of an id and of an action."""
LAST_POSITION = 2**31 - 1
GRACE = 86_400
"""Seconds that an event may be ahead of the clock, as the data stage allows."""


class Outcome(Enum):
    """What became of an event that was to be appended."""

    RECORDED = "recorded"
    """It is kept from now on."""
    REPEATED = "repeated"
    """It was kept before; nothing changed."""
    CONFLICT = "conflict"
    """Another event is kept under its id; nothing changed."""


def new_event_id() -> str:
    """An id that nobody else has."""
    return uuid.uuid4().hex


def now() -> int:
    """Unix seconds."""
    return int(time.time())


@dataclass(frozen=True, kw_only=True)
class Event:
    """Recorded again under the same id, it counts once, so whoever is in doubt may send it again.

    It gets its id as it is made: to send it again is to send the same object.
    """

    user_id: str
    item_id: str
    action: str
    """`impression`, `click`, `purchase`, or what the shop's own interactions call it."""
    time: int = field(default_factory=now)
    """Unix seconds."""
    request_id: str = ""
    """Of the request whose answer the shopper saw, where there was one."""
    position: int | None = None
    """Of the item in that answer, from 1."""
    event_id: str = field(default_factory=new_event_id)
    """Its name among all events."""

    def is_again(self, other: "Event") -> bool:
        """Whether another one under the same id tells of the same; the clock does not count."""
        return all(
            getattr(self, name) == getattr(other, name)
            for name in ("user_id", "item_id", "action", "request_id", "position")
        )


def check_event(event: Event, *, at: float) -> None:
    """Refuse an event that breaks a rule.

    Args:
        event: What is to be kept.
        at: Unix seconds as of now.

    Raises:
        ValueError: names the field, the rule and the value.
    """
    for name in ("event_id", "user_id", "item_id", "action"):
        value = getattr(event, name)
        _check_text(name, value)
        if not value.strip():
            raise ValueError(f"{name} must not be empty, got {value!r}")
    _check_text("request_id", event.request_id)
    if not 0 <= event.time <= at + GRACE:
        raise ValueError(
            f"time must be Unix seconds, at most a day ahead of {at:.0f}, got {event.time}"
        )
    if event.position is not None and not 1 <= event.position <= LAST_POSITION:
        raise ValueError(f"position must be at least 1, got {event.position}")


def _check_text(name: str, value: str) -> None:
    if len(value) > ID_LENGTH:
        raise ValueError(f"{name} must have at most {ID_LENGTH} characters, got {len(value)}")
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError(f"{name} must be text without NUL or lone surrogates, got {value!r}")

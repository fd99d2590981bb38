"""Events: what a user did with an item."""

import time
import uuid
from dataclasses import dataclass, field

from shortlist_client.api.checks import STRING, WHOLE_NUMBER, check

IMPRESSION, CLICK, PURCHASE = "impression", "click", "purchase"


ID_LENGTH = 256
"""Characters of an id and of an action."""


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

    def __post_init__(self) -> None:
        for name in ("user_id", "item_id", "action", "request_id", "event_id"):
            if type(value := getattr(self, name)) is not str:  # a history is 1,000 of them
                check(name, value, STRING)
        if type(self.time) is not int:
            check("time", self.time, WHOLE_NUMBER)
        if self.position is not None:
            check("position", self.position, WHOLE_NUMBER)

    def is_again(self, other: "Event") -> bool:
        """Whether another one under the same id tells of the same; the clock does not count."""
        return all(
            getattr(self, name) == getattr(other, name)
            for name in ("user_id", "item_id", "action", "request_id", "position")
        )

"""Events: what a user did with an item."""

import time
import uuid
from dataclasses import dataclass, field

from shortlist_client.api.checks import STRING, WHOLE_NUMBER, check

IMPRESSION, CLICK, PURCHASE = "impression", "click", "purchase"


ID_LENGTH = 256
"""Maximum length of an id and of an action, characters."""


def new_event_id() -> str:
    """A random id, unique among all events."""
    return uuid.uuid4().hex


def now() -> int:
    """The current time, Unix seconds."""
    return int(time.time())


@dataclass(frozen=True, kw_only=True)
class Event:
    """What a user did with an item. An event gets its id when it is created.

    Recorded again under the same id, an event counts once: when in doubt, send the object again.
    """

    user_id: str
    item_id: str
    action: str
    """`impression`, `click`, `purchase`, or an action of the release's interactions."""
    time: int = field(default_factory=now)
    """Unix seconds; by default the time of creation."""
    request_id: str = ""
    """The request whose answer the shopper saw, if there was one."""
    position: int | None = None
    """Position of the item in that answer, from 1."""
    event_id: str = field(default_factory=new_event_id)
    """Id, unique among all events of the client."""

    def __post_init__(self) -> None:
        for name in ("user_id", "item_id", "action", "request_id", "event_id"):
            if type(value := getattr(self, name)) is not str:  # quick: a history has 1,000 events
                check(name, value, STRING)
        if type(self.time) is not int:
            check("time", self.time, WHOLE_NUMBER)
        if self.position is not None:
            check("position", self.position, WHOLE_NUMBER)

    def is_again(self, other: "Event") -> bool:
        """Whether another event with the same id repeats this one; the time may differ."""
        return all(
            getattr(self, name) == getattr(other, name)
            for name in ("user_id", "item_id", "action", "request_id", "position")
        )

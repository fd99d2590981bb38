"""What operators ask about users."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PastInteraction:
    """One interaction of a user's history in a release."""

    item_id: str
    """The item."""
    action: str
    """What the user did; empty if the release does not know it."""
    time: int | None
    """Unix seconds; None if the release knows the order alone."""


@dataclass(frozen=True, kw_only=True)
class Erased:
    """The result of an erasure."""

    events: int
    """How many events were removed."""
    interactions: int
    """How many interactions of the live release are hidden from now on."""
    exposures: int = 0
    """How many exposures were removed."""

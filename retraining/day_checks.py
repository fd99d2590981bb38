"""Tells the days whose data must not be learnt: empty, copied, many times too many, poisoned."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from dataset.prepare.days import Day

REMEMBERED = 28
"""Days before a day that say what is usual"""
LEAST = 7
"""Fewest such days; with fewer, nothing is usual yet"""


@dataclass(frozen=True, kw_only=True)
class DayLimits:
    """How far a day may be from what is usual for its weekday."""

    fewest: float = 0.2
    """Least events, in usual ones."""
    most: float = 4.0
    """Most events, in usual ones."""
    copied: float = 0.3
    """Largest share of events that repeat others to the second: rows sent twice, or a day that is
    the copy of the day before; beyond the usual share."""
    unknown: float = 0.3
    """Largest share of events of items that the catalogue does not have, beyond the usual share."""
    pushed: float = 0.05
    """Share of a day's events that one item may have in any case."""
    pushed_times: float = 3.0
    """Share that one item may have, in the largest of the days before."""

    def __post_init__(self) -> None:
        if not 0 <= self.fewest < 1 < self.most:
            raise ValueError(
                f"fewest must be in [0, 1) and most above 1, got {self.fewest} and {self.most}"
            )
        for name in ("copied", "unknown", "pushed"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in (0, 1], got {getattr(self, name)}")
        if self.pushed_times < 1:
            raise ValueError(f"pushed_times must be at least 1, got {self.pushed_times}")


def problems(day: Day, before: Sequence[Day], limits: DayLimits) -> list[str]:
    """What is wrong with a day, one sentence for each finding; empty if it may be learnt.

    Weekdays differ, so that the median of the same weekday is usual if there are at least three of
    them. Days that were held back are no example of what is usual: leave them out of `before`.

    Args:
        day: The day.
        before: The days before it, oldest first.
        limits: What is allowed.
    """
    recent = before[-REMEMBERED:]
    if len(recent) < LEAST:
        return [f"{day.day} has no events"] if not day.events else []
    alike = [other for other in recent if other.day.weekday() == day.day.weekday()]
    usual = median(other.events for other in (alike if len(alike) >= 3 else recent))
    if day.events < limits.fewest * usual or (usual and not day.events):
        return [f"{day.day} has {day.events:,} events instead of about {usual:,.0f}"]
    if not day.events:
        return []  # a day on which the shop is closed
    found = []
    if day.events > limits.most * usual:
        found.append(f"{day.day} has {day.events:,} events instead of about {usual:,.0f}")
    shares: tuple[tuple[str, Callable[[Day], int], float], ...] = (
        ("were sent twice", lambda of: of.repeated, limits.copied),
        ("are those of the day before, to the second", lambda of: of.again, limits.copied),
        ("are of items that the catalogue does not have", lambda of: of.unknown, limits.unknown),
    )
    for said, count, most in shares:
        share = count(day) / day.events
        if share > most + median(_share(count(other), other) for other in recent):
            found.append(f"{share:.0%} of the events of {day.day} {said}")
    largest = max(_share(other.top, other) for other in recent)
    pushed = day.top / day.events
    if pushed > max(limits.pushed, limits.pushed_times * largest):
        found.append(
            f"{pushed:.0%} of the events of {day.day} are of the item {day.top_item!r}; before, no "
            f"item had more than {largest:.1%} of a day"
        )
    return found


def _share(count: int, day: Day) -> float:
    return count / day.events if day.events else 0.0

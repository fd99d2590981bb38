"""Which items of a history may come back, and which are left out of answers."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dataset.actions import PLAIN, STRONG, fold_action
from dataset.interaction_codes import DAY, HOUR

Repeated = Literal["exclude", "allow"] | float
"""Whether purchased items may come back: never, always, or after that many days"""


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """Rule of the items that answers leave out."""

    actions: tuple[str, ...] = ()
    """Folded names of the actions that exclude an item; none for those that count as purchases"""
    after_days: float | None = None
    """Days after which an excluded item may come back, 0 for at once; None for never"""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Weight of every known action by name, see `dataset.actions`"""

    def excludes(self, name: str) -> bool:
        """Whether an action, by its folded name ("" for none), excludes its item."""
        if self.actions:
            return name in self.actions
        return self.weights.get(name, self.weights.get("", PLAIN)) >= STRONG

    @property
    def coming_back(self) -> bool:
        """Whether purchased items may ever be recommended again."""
        return self.after_days is not None

    def excluded(
        self,
        items: NDArray[np.int32],
        excluding: NDArray[np.bool_],
        times: NDArray[np.int64] | None,
        now: int | None,
    ) -> NDArray[np.int32]:
        """Item rows of a history that are left out of an answer; may repeat.

        An item stays out until its last excluding interaction is `after_days` old. Where that time
        is unknown, it stays out, unless items may come back at once.

        Args:
            items: (history,) item rows that stand, oldest first.
            excluding: (history,) whether the interaction's action excludes its item.
            times: (history,) Unix seconds; None where unknown.
            now: Unix seconds of the answer; None where unknown.
        """
        if self.after_days == 0:
            return items[:0]
        kept = excluding
        if self.after_days is not None and times is not None and now is not None:
            kept = excluding & self.recent(times, now)
        return items if kept.all() else items[kept]

    def recent(self, times: NDArray[np.int64], now: int | NDArray[np.int64]) -> NDArray[np.bool_]:
        """(interactions,): whether interactions are too young at `now` for their items to return.

        Args:
            times: (interactions,) Unix seconds.
            now: Unix seconds, read as full hours, as when serving.
        """
        if self.after_days is None:
            return np.ones(len(times), bool)
        young: NDArray[np.bool_] = now - now % HOUR - times < self.after_days * DAY
        return young if self.after_days else np.zeros(len(times), bool)


def days_of(repeats: Repeated) -> float | None:
    """`Repeats.after_days` of the option `repeats`."""
    return {"exclude": None, "allow": 0.0}[repeats] if isinstance(repeats, str) else repeats


def check_repeats(exclude: Collection[str], repeats: Repeated) -> None:
    """Refuse options that break a rule.

    Raises:
        ValueError: two names are the same once they are folded, or the days are not above 0.
    """
    folded = {fold_action(name) for name in exclude}
    if len(folded) < len(exclude) or "" in folded:
        raise ValueError(f"exclude must be distinct names of actions, got {list(exclude)}")
    if not isinstance(repeats, str) and not 0 < repeats < float("inf"):
        raise ValueError(
            f"repeats must be exclude, allow, or a number of days above 0, got {repeats}"
        )

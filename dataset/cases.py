"""Evaluation cases: what a user did in one moment, to be found from everything before it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataset.clock import NEVER, When, full_hour


@dataclass(frozen=True, kw_only=True)
class Cases:
    """Evaluation cases: moments of users, each with the history before it and targets to find."""

    places: NDArray[np.int64]
    """(cases,) place of the moment's first interaction among all interactions; ascending, unless
    cases were selected in another order."""
    user_rows: NDArray[np.int64]
    """(cases,) user rows; a user may have several cases."""
    histories: list[NDArray[np.int32]]
    """Item rows that stand of the user before the moment, oldest first; empty only where there is a
    search."""
    interaction_codes: list[NDArray[np.int32]]
    """Interaction codes of each history, see `dataset.interaction_codes`."""
    targets: list[NDArray[np.int32]]
    """Item rows to find in each moment, none of them excluded, never empty."""
    excluded: list[NDArray[np.int32]]
    """Item rows that are not recommended: those of the history that may not come back, see
    `dataset.repeats`, and those that the user took away, such as refunded ones."""
    times: NDArray[np.int64] | None
    """(cases,) Unix seconds of each moment's first interaction; None without times."""
    history_times: list[NDArray[np.int64] | None]
    """Unix seconds of each history's interactions; None without times."""
    searches: Sequence[str] = ()
    """What the user typed before each moment, empty for nothing; no entries if nobody searched."""
    gains: Sequence[NDArray[np.float32]] | None = None
    """Relevance of each target, above 0; None if all are 1."""

    def search(self, case: int) -> str:
        """Words that a case's user searched for; empty for none."""
        return self.searches[case] if self.searches else ""

    @property
    def searching(self) -> bool:
        """Whether some user searched."""
        return any(self.searches)

    def when(self, case: int) -> When:
        """The full hour before a case's moment, and the times of its history, Unix seconds.

        Purchases count up to that hour, as when serving. None without times.
        """
        if self.times is None:
            return NEVER
        return When(full_hour(int(self.times[case])), self.history_times[case])

    def __len__(self) -> int:
        return len(self.places)

    def select(self, positions: NDArray[np.int64]) -> "Cases":
        """The cases at some positions, in the given order."""
        return Cases(
            places=self.places[positions],
            user_rows=self.user_rows[positions],
            histories=[self.histories[p] for p in positions],
            interaction_codes=[self.interaction_codes[p] for p in positions],
            targets=[self.targets[p] for p in positions],
            times=None if self.times is None else self.times[positions],
            history_times=[self.history_times[p] for p in positions],
            excluded=[self.excluded[p] for p in positions],
            searches=[self.search(p) for p in positions],
            gains=None if self.gains is None else [self.gains[p] for p in positions],
        )

    def followed_by(self, other: "Cases") -> "Cases":
        """These cases, then those of another split of the same dataset."""
        gains = None
        if self.gains is not None and other.gains is not None:
            gains = [*self.gains, *other.gains]
        times = None
        if self.times is not None and other.times is not None:
            times = np.concatenate([self.times, other.times])
        searches = [of.search(case) for of in (self, other) for case in range(len(of))]
        return Cases(
            places=np.concatenate([self.places, other.places]),
            user_rows=np.concatenate([self.user_rows, other.user_rows]),
            histories=[*self.histories, *other.histories],
            interaction_codes=[*self.interaction_codes, *other.interaction_codes],
            targets=[*self.targets, *other.targets],
            excluded=[*self.excluded, *other.excluded],
            times=times,
            history_times=[*self.history_times, *other.history_times],
            searches=searches,
            gains=gains,
        )

    def at(self, places: NDArray[np.int64]) -> "Cases":
        """The cases of the moments at the given places, in the order of the places.

        Raises:
            ValueError: there is no case at a place.
        """
        position = {place: at for at, place in enumerate(self.places.tolist())}
        missing = [place for place in places.tolist() if place not in position]
        if missing:
            raise ValueError(f"places must be of moments with a case, got {missing[:5]}")
        return self.select(np.array([position[place] for place in places.tolist()], np.int64))

    def sample(self, cases: int, seed: int) -> "Cases":
        """A seeded sample without replacement; all cases if there are fewer."""
        order = np.random.default_rng(seed).permutation(len(self))[:cases]
        return self.select(np.sort(order))

    def sample_users(self, users: int, seed: int) -> "Cases":
        """All cases of a seeded sample of users without replacement."""
        distinct = np.unique(self.user_rows)
        chosen = distinct[np.random.default_rng(seed).permutation(len(distinct))[:users]]
        return self.select(np.flatnonzero(np.isin(self.user_rows, chosen)))


def moment_starts(users: NDArray[np.int64], moments: NDArray[np.int32]) -> NDArray[np.int64]:
    """(interactions,): place of the first interaction of each one's moment.

    Args:
        users: (interactions,) user rows, ascending.
        moments: (interactions,) numbers of the users' moments, not decreasing within a user.
    """
    first = np.ones(len(users), bool)
    first[1:] = (np.diff(users) != 0) | (np.diff(moments) != 0)
    starts: NDArray[np.int64] = np.maximum.accumulate(np.where(first, np.arange(len(users)), 0))
    return starts


def places_among(kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(interactions + 1,): number of kept interactions before each, and in total at the end."""
    return np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)

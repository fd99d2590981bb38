"""Team-draft interleaving: two ranked lists draft one answer, and clicks decide between them.

Radlinski, Kurup and Joachims, CIKM 2008. Every user sees both lists at once, so that differences
between users cancel, and a fraction of an A/B test's users decides.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from online.estimate import Estimate, linearised, mean

Item = TypeVar("Item", bound=Hashable)


class Team(IntEnum):
    """Whose choice an item of an interleaved answer was."""

    NEITHER = 0
    """Both lists would place it now: a click on it says nothing"""
    FIRST = 1
    SECOND = 2


@dataclass(frozen=True)
class Drafted(Generic[Item]):
    """An interleaved answer."""

    items: Sequence[Item]
    teams: Sequence[Team]
    """Team of each item"""


def draft(
    first: Sequence[Item], second: Sequence[Item], length: int, rng: np.random.Generator
) -> Drafted[Item]:
    """Draft an answer from two ranked lists.

    In each round a coin decides who chooses before the other; each chooses the best item that is
    not in the answer yet. An item that both would choose now belongs to neither: whom the coin gave
    it would be noise. Nor do the items behind the end of the shorter list belong to a team.

    Args:
        first: Items, best first, each once.
        second: Items, best first, each once.
        length: Most items of the answer.
        rng: Tosses the coins.
    """
    answer: dict[Item, Team] = {}
    while len(answer) < length:
        ours, theirs = (
            next((item for item in ranked if item not in answer), None)
            for ranked in (first, second)
        )
        either = theirs if ours is None else ours
        if either is None:
            break
        if ours is None or theirs is None or ours == theirs:
            answer[either] = Team.NEITHER
            continue
        chosen = [(ours, Team.FIRST), (theirs, Team.SECOND)]
        if rng.integers(2):
            chosen.reverse()
        answer.update(chosen[: length - len(answer)])
    return Drafted(items=list(answer), teams=list(answer.values()))


def preference(
    users: NDArray[np.int64], teams: NDArray[np.int8], clicks: NDArray[np.float64]
) -> Estimate:
    """By how much of the clicks the second list is ahead of the first.

    Its interval excludes 0 once one list is better; `always_valid` makes it hold at every look.

    Args:
        users: (answers,) user of each answer, as any number.
        teams: (answers, places) `Team` of each item; `NEITHER` where no item is.
        clicks: (answers, places) clicks on each item, or purchases.

    Returns:
        (clicks on the second list's items - clicks on the first's) / their sum, -1 to 1.

    Raises:
        ValueError: no click went to a team.
    """
    _, of_answer = np.unique(users, return_inverse=True)
    of_first, of_second = (
        np.bincount(of_answer, np.where(teams == team, clicks, 0.0).sum(axis=1)).astype(np.float64)
        for team in (Team.FIRST, Team.SECOND)
    )
    if not of_first.any() and not of_second.any():
        raise ValueError("clicks must have one on an item of either team; wait for more answers")
    return mean(linearised(of_second - of_first, of_first + of_second))

"""Quality by groups of users, and whether its largest gap is more than chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from evaluation.bands import Bands
from evaluation.intervals import Interval, between_interval, mean_interval

LEAST_USERS = 10
"""Users of a group that is shown; smaller ones are joined, and say nothing of single users"""
MOST_GROUPS = 8
OTHERS, UNKNOWN = "others", "unknown"
SHUFFLES = 1000


@dataclass(frozen=True, kw_only=True)
class Grouping:
    """Users divided by one column."""

    name: str
    groups: Sequence[str]
    of_user: NDArray[np.int64]
    """(users,) number of each user's group; -1 for none"""


class Gap(TypedDict):
    """Difference between the best and the worst group."""

    best: str
    worst: str
    gap: Interval
    """Best minus worst, with the interval of these two groups"""
    chance: float
    """Share of random divisions into groups of these sizes that have a gap as large"""


def by_labels(name: str, labels: Sequence[str | None]) -> Grouping:
    """Groups of users with the same label, the most frequent ones first.

    Args:
        name: Name of the column.
        labels: (users,) label of each user; None for unknown.
    """
    given = np.array([UNKNOWN if label is None else label for label in labels], str)
    found, codes, counts = np.unique(given, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    kept = [place for place in order.tolist() if counts[place] >= LEAST_USERS][:MOST_GROUPS]
    names = [str(found[place]) for place in kept]
    number = np.full(len(found), len(kept))
    number[kept] = np.arange(len(kept))
    of_user = number[codes]
    if (of_user == len(kept)).sum() >= LEAST_USERS:
        names.append(OTHERS)
    return Grouping(name=name, groups=names, of_user=np.where(of_user < len(names), of_user, -1))


def by_numbers(name: str, numbers: NDArray[np.float64]) -> Grouping:
    """Groups of users in quantile bands of a number, in its order.

    Args:
        name: Name of the column.
        numbers: (users,) number of each user; NaN for unknown.
    """
    known = ~np.isnan(numbers)
    bands = Bands.of(numbers[known])
    codes = bands.of_numbers(np.where(known, numbers, 0.0))
    labels = [
        bands.names[code] if there else None for code, there in zip(codes, known, strict=True)
    ]
    found = by_labels(name, labels)
    place = {label: at for at, label in enumerate((*bands.names, OTHERS, UNKNOWN))}
    order = sorted(range(len(found.groups)), key=lambda at: place[found.groups[at]])
    number = np.append(np.argsort(order), -1)
    names = [found.groups[at] for at in order]
    return Grouping(name=name, groups=names, of_user=number[found.of_user])


def group_means(
    values: NDArray[np.float64], users: NDArray[np.int64], grouping: Grouping, *, seed: int = 0
) -> dict[str, Interval]:
    """Mean over the cases of each group that has any, with its interval.

    Args:
        values: (cases,) one value per case.
        users: (cases,) user row of each case.
        grouping: Groups by user row.
        seed: Seed of the bootstrap.
    """
    of_case = grouping.of_user[users]
    return {
        name: mean_interval(values[of_case == number], users=users[of_case == number], seed=seed)
        for number, name in enumerate(grouping.groups)
        if (of_case == number).any()
    }


def largest_gap(
    values: NDArray[np.float64], users: NDArray[np.int64], grouping: Grouping, *, seed: int = 0
) -> Gap | None:
    """The gap between the best and the worst group of enough users; None without two.

    Joined small groups are neither.

    The two groups are chosen after looking, so their interval alone overstates the gap. `chance`
    does not: users are shuffled among the groups (permutation test: Good, 2005).

    Args:
        values: (cases,) one value per case.
        users: (cases,) user row of each case.
        grouping: Groups by user row.
        seed: Seed of the bootstrap and the shuffles.
    """
    distinct, of_case = np.unique(users, return_inverse=True)
    groups = grouping.of_user[distinct]
    sizes = np.bincount(groups[groups >= 0], minlength=len(grouping.groups))
    counted = (sizes >= LEAST_USERS) & (np.array(grouping.groups) != OTHERS)
    if counted.sum() < 2:
        return None
    sums, cases = np.bincount(of_case, values), np.bincount(of_case)
    kept = (groups >= 0) & counted[np.maximum(groups, 0)]
    sums, cases, groups = sums[kept], cases[kept], groups[kept]
    means = _means(groups, sums, cases, len(sizes))
    best, worst = int(np.nanargmax(means)), int(np.nanargmin(means))
    gap, rng = means[best] - means[worst], np.random.default_rng(seed)
    shuffled = (_means(rng.permutation(groups), sums, cases, len(sizes)) for _ in range(SHUFFLES))
    larger = sum(np.nanmax(found) - np.nanmin(found) >= gap - 1e-12 for found in shuffled)
    first, second = (grouping.of_user[users] == number for number in (best, worst))
    return Gap(
        best=grouping.groups[best],
        worst=grouping.groups[worst],
        gap=between_interval(
            values[first], values[second], users=(users[first], users[second]), seed=seed
        ),
        chance=(1 + larger) / (1 + SHUFFLES),
    )


def _means(
    groups: NDArray[np.int64],
    sums: NDArray[np.float64],
    cases: NDArray[np.int64],
    count: int,
) -> NDArray[np.float64]:
    """(groups,) mean over the cases of each group, NaN without users."""
    totals = np.bincount(groups, cases, count)
    found: NDArray[np.float64] = np.bincount(groups, sums, count) / np.where(
        totals > 0, totals, np.nan
    )
    return found

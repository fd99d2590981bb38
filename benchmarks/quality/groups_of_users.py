"""Groups of the benchmark's users: by the columns of the shop's table of users, and by activity."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dataset.arrays import Dataset
from dataset.attribute_kind import Kind
from dataset.cases import Cases
from dataset.postings import OrderedPostings, Postings
from dataset.user_columns import load_user_columns
from evaluation.user_groups import Grouping, by_labels, by_numbers

ACTIVITY = "length of the history"
YEAR = 365.2425 * 86_400e6
"""Microseconds of a mean year"""


def groupings(folder: Path, data: Dataset, cases: Cases) -> list[Grouping]:
    """Groupings by activity, then by every column of the users.

    Args:
        folder: Folder of the data stage.
        data: The users.
        cases: Moments to predict; a user's activity is the history before the first of them.
    """
    rows, first = np.unique(cases.user_rows, return_index=True)
    lengths = np.array([len(cases.histories[case]) for case in first.tolist()], np.float64)
    found = [by_numbers(ACTIVITY, lengths)]
    for name, (kind, postings) in load_user_columns(folder).items():
        found.append(_by_column(name, kind, postings, rows, data.users))
    return [_of_all(grouping, rows, data.users) for grouping in found]


def _of_all(grouping: Grouping, rows: NDArray[np.int64], users: int) -> Grouping:
    """A grouping of the measured users, extended to all users: the others are in no group."""
    of_user = np.full(users, -1)
    of_user[rows] = grouping.of_user
    return replace(grouping, of_user=of_user)


def _by_column(
    name: str, kind: Kind, postings: Postings, rows: NDArray[np.int64], users: int
) -> Grouping:
    """Groups of some users by a column; of several values of a user, the first by alphabet."""
    if isinstance(postings, OrderedPostings):
        numbers = np.full(users, np.nan)
        numbers[np.asarray(postings.item_rows)] = np.asarray(postings.values, np.float64)
        if kind == "time":
            numbers = 1970 + numbers / YEAR
        return by_numbers(name, numbers[rows])
    places, values = postings.values_of(rows)
    labels: list[str | None] = [None] * len(rows)
    for place, value in zip(places.tolist()[::-1], values.tolist()[::-1], strict=True):
        labels[place] = postings.values[value]
    return by_labels(name, labels)

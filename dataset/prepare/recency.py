"""When items were added to the shop, where a column of the catalogue says so."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dataset.arrays import LONG_AGO
from dataset.interaction_codes import MICROSECONDS
from dataset.prepare.column_names import plain_name
from dataset.prepare.timestamps import is_time, unix_microseconds

ADDED = "added"
"""Column of the items, by which they may be mapped"""
NAMES = (
    *(ADDED, "timestamp", "addedat", "addedon", "dateadded", "addeddate", "created", "createdat"),
    *("createdon", "createddate", "creationdate", "datecreated", "publishedat", "published"),
    *("publicationdate", "publishdate", "releasedate", "releasedat", "released", "launchdate"),
    *("availablefrom", "availablesince", "dateavailable", "firstavailable", "datefirstavailable"),
    *("insertedat", "listedat", "onlinesince"),
)
"""Names of such a column, in small letters and digits alone; the first that is there is used"""
READ = 0.5
"""Least share of the items whose time must be read, or the column is something else"""


def when_added(items: pl.DataFrame) -> tuple[NDArray[np.int64] | None, str]:
    """Time of each item, and the column that has it; None and no name if none does.

    Args:
        items: One row per item, in the order of the items.

    Returns:
        (items,) Unix seconds, `LONG_AGO` where unknown; and the name of the column.
    """
    present = {
        plain_name(name): name for name, kind in reversed(items.schema.items()) if is_time(kind)
    }
    for name in (present[known] for known in NAMES if known in present):
        times = items.select(unix_microseconds(name, items.schema[name]).alias(ADDED))[ADDED]
        if len(items) and len(times) - times.null_count() >= READ * len(items):
            seconds = times.cast(pl.Int64).fill_null(LONG_AGO * MICROSECONDS) // MICROSECONDS
            return seconds.to_numpy(), name
    return None, ""


def note_on(column: str) -> str:
    """The rule in one line, for the log and the report."""
    return (
        f"of items that sold equally, as all do in a new shop, those with the latest {column!r} "
        "come first for shoppers without a history"
    )

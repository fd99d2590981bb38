"""Peers' recommendation lists that are saved with a dataset, and the users to evaluate."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evaluation.metrics import Rows, hits

USERS = "eval_users_6k.parquet"
"""Columns `row`, `user_id`: the users to evaluate, in the order of `row`."""
LISTS = "saved_baselines.parquet"
"""Columns `method`, `row`, `user_id`, `item_ids`: one list per user and method, best first."""


def evaluation_users(folder: Path) -> list[str] | None:
    """Ids of the users that the dataset names for evaluation, in order; None if it names none."""
    path = folder / USERS
    if not path.is_file():
        return None
    return pl.read_parquet(path).sort("row")["user_id"].to_list()


def saved_lists(
    folder: Path,
    *,
    user_ids: Sequence[str],
    item_ids: Sequence[str],
    excluded: Sequence[Rows],
) -> dict[str, NDArray[np.int32]]:
    """Peers' saved lists without the users' histories.

    Args:
        folder: Folder of the dataset.
        user_ids: Users whose lists to read, in the order of the result.
        item_ids: Item ids of the corpus, by row; other saved items are left out.
        excluded: Item rows of each user to leave out, such as the history's.

    Returns:
        (users, k) item rows by method, best first, padded with -1 at the end; methods are sorted.
        Empty if nothing was saved.

    Raises:
        ValueError: a method does not have exactly one list for each user.
    """
    path = folder / LISTS
    if not path.is_file():
        return {}
    wanted = pl.LazyFrame({"user_id": user_ids}).with_row_index("position")
    corpus = pl.LazyFrame({"item_ids": item_ids}).with_row_index("item")
    places = (
        pl.scan_parquet(path)
        .join(wanted, on="user_id")
        .with_columns(place=pl.int_ranges(pl.col("item_ids").list.len()))
        .explode("item_ids", "place")
        .join(corpus, on="item_ids", how="left")
        .select("method", "position", "place", pl.col("item").fill_null(-1).cast(pl.Int32))
        .collect()
    )
    tables = places.partition_by("method", as_dict=True)
    return {
        str(method): without(_table(str(method), table, len(user_ids)), excluded)
        for (method,), table in sorted(tables.items())
    }


def without(recommended: Rows, excluded: Sequence[Rows]) -> NDArray[np.int32]:
    """Remove each user's excluded items from the list; later items move up.

    Args:
        recommended: (users, k) item rows; -1 for padding.
        excluded: Item rows of each user to leave out, such as the history's.

    Returns:
        (users, k) item rows, padded with -1 at the end.
    """
    masked = np.where(hits(recommended, excluded), -1, recommended).astype(np.int32)
    return np.take_along_axis(masked, np.argsort(masked < 0, axis=1, kind="stable"), axis=1)


def _table(method: str, places: pl.DataFrame, users: int) -> NDArray[np.int32]:
    """(users, k) item rows of one method, from its (position, place, item) rows."""
    heads = np.bincount(places.filter(pl.col("place") == 0)["position"], minlength=users)
    if (heads != 1).any():
        user = int(np.argmax(heads != 1))
        raise ValueError(
            f"{LISTS} must hold one list of {method!r} per user, "
            f"got {heads[user]} for the user at {user}"
        )
    rows = np.full((users, int(places["place"].to_numpy().max()) + 1), -1, np.int32)
    rows[places["position"], places["place"]] = places["item"]
    return rows

"""Lists that peers' own models left beside a dataset, for the users they were made for."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evaluation.metrics import Rows, hits

USERS = "eval_users_6k.parquet"
"""`row`, `user_id`: whom to evaluate, in this order."""
LISTS = "saved_baselines.parquet"
"""`method`, `row`, `user_id`, `item_ids`: a list a user and method, best first."""


def evaluation_users(folder: Path) -> list[str] | None:
    """Ids of the users that a dataset wants evaluated, in its order; None where it names none."""
    path = folder / USERS
    if not path.is_file():
        return None
    return pl.read_parquet(path).sort("row")["user_id"].to_list()


def saved_lists(
    folder: Path,
    *,
    user_ids: Sequence[str],
    item_ids: Sequence[str],
    histories: Sequence[Rows],
) -> dict[str, NDArray[np.int32]]:
    """Peers' saved lists, the user's history taken out.

    Args:
        folder: Of the dataset.
        user_ids: Whose lists to read, in the order of the result.
        item_ids: Of the corpus, by row; saved items that it lacks are left out.
        histories: Item rows of each user.

    Returns:
        By method, sorted: (users, k) item rows, best first, and -1 at the end in place of what was
        taken out. Nothing where nothing was saved.

    Raises:
        ValueError: a method has not exactly one list of a user.
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
        str(method): without(_table(str(method), table, len(user_ids)), histories)
        for (method,), table in sorted(tables.items())
    }


def without(recommended: Rows, histories: Sequence[Rows]) -> NDArray[np.int32]:
    """Take the items of each user's history out of the list; what follows moves up.

    Args:
        recommended: (users, k) item rows, -1 where there is none.
        histories: Item rows of each user.

    Returns:
        (users, k), every -1 at the end.
    """
    kept = np.where(hits(recommended, histories), -1, recommended).astype(np.int32)
    return np.take_along_axis(kept, np.argsort(kept < 0, axis=1, kind="stable"), axis=1)


def _table(method: str, places: pl.DataFrame, users: int) -> NDArray[np.int32]:
    """(users, k) of one method's (position, place, item)."""
    heads = np.bincount(places.filter(pl.col("place") == 0)["position"], minlength=users)
    if (heads != 1).any():
        user = int(np.argmax(heads != 1))
        raise ValueError(
            f"{LISTS} must hold one list of {method!r} a user, "
            f"got {heads[user]} for the user at {user}"
        )
    rows = np.full((users, int(places["place"].to_numpy().max()) + 1), -1, np.int32)
    rows[places["position"], places["place"]] = places["item"]
    return rows

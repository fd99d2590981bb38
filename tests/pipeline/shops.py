"""A small shop of one's own, and what new and small shops have of it."""

from pathlib import Path

import numpy as np
import polars as pl

from tests.conftest import COLOURS, THINGS

START, HOUR = 1_725_000_000, 3600
ITEMS = pl.DataFrame(
    {
        "item_id": [f"{colour}-{thing}" for colour in COLOURS[:6] for thing in THINGS[:6]],
        "title": [f"{colour} {thing}" for colour in COLOURS[:6] for thing in THINGS[:6]],
        "price": [0.5 + row for row in range(36)],
    }
)


def events(users: int = 40) -> pl.DataFrame:
    """Users who buy one to seven things, mostly of one colour, hours apart."""
    rng, rows = np.random.default_rng(0), list[tuple[str, str, int]]()
    for user in range(users):
        colour, start = 6 * int(rng.integers(6)), START + int(rng.integers(90 * 24)) * HOUR
        bought = colour + rng.permutation(6)[: 1 + int(rng.integers(6))]
        bought = [*bought.tolist(), int(rng.integers(36))]
        rows += [
            (f"u{user}", ITEMS["item_id"][item], start + place * HOUR)
            for place, item in enumerate(bought)
        ]
    return pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")


def split(*names: str) -> pl.DataFrame:
    """The events with a split column that repeats the names."""
    table = events()
    return table.with_columns(
        split=pl.Series([names[row % len(names)] for row in range(len(table))])
    )


def only(item: str) -> pl.DataFrame:
    """The events, all on one item."""
    return events().with_columns(item_id=pl.lit(item))


FIRST = ITEMS["item_id"][0]
BOT = pl.DataFrame(
    {
        "user_id": ["bot"] * 500,
        "item_id": [ITEMS["item_id"][7 * row % 36] for row in range(500)],
        "timestamp": [START + row for row in range(500)],
    }
)
SMALL: dict[str, tuple[pl.DataFrame, pl.DataFrame | None]] = {
    "no interactions": (ITEMS, None),
    "no rows": (ITEMS, events().clear()),
    "one event each": (ITEMS, events().group_by("user_id", maintain_order=True).first()),
    "two events each": (ITEMS, events().group_by("user_id", maintain_order=True).head(2)),
    "one user": (ITEMS, events().filter(pl.col("user_id") == "u3")),
    "one event": (ITEMS, events().head(1)),
    "one item": (ITEMS.head(1), only(FIRST)),
    "one item, no interactions": (ITEMS.head(1), None),
    "three items": (
        ITEMS.head(3),
        events().filter(pl.col("item_id").is_in(ITEMS["item_id"][:3].to_list())),
    ),
    "one title": (ITEMS.with_columns(title=pl.lit("red mug")), events()),
    "only a bot": (ITEMS, BOT),
    "only training": (ITEMS, split("train")),
    "no validation": (ITEMS, split("train", "train", "train", "test")),
    "no test": (ITEMS, split("train", "train", "train", "valid")),
}


def write(folder: Path, items: pl.DataFrame | None, interactions: pl.DataFrame | None) -> Path:
    """Write the tables of a shop as Parquet files."""
    folder.mkdir(parents=True, exist_ok=True)
    if items is not None:
        items.write_parquet(folder / "items.parquet")
    if interactions is not None:
        interactions.write_parquet(folder / "interactions.parquet")
    return folder

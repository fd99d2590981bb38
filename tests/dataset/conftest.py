from pathlib import Path

import polars as pl
import pytest

START = 1_700_000_000
"""Unix seconds after which the interactions are"""
ITEMS = {
    "item_id": ["a", "b", "c", "d"],
    "title": ["Red kettle", "Blue kettle", "Été: 日本 🎮", "Lamp"],
    "description": ["Boils.", None, "  ", "Shines"],
    "price": [9.5, 8.0, None, 3.0],
    "stock_code": ["7A", "7B", "7C", None],
}
EVENTS = {
    "user_id": ["u", "u", "u", "v", "v", "v", "w"],
    "item_id": ["a", "b", "c", "b", "a", "b", "d"],
    "timestamp": [START + second for second in (1, 2, 3, 10, 20, 30, 5)],
}


@pytest.fixture
def make_folder(tmp_path):
    """Writes a dataset to a folder; a column given as None is left out."""

    def make(items=None, events=None, name="shop", users=None) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for file, base, changes in (("items", ITEMS, items), ("interactions", EVENTS, events)):
            if isinstance(changes, pl.DataFrame):
                table = changes
            else:
                columns = {**base, **(changes or {})}
                table = pl.DataFrame({k: v for k, v in columns.items() if v is not None})
            table.write_parquet(folder / f"{file}.parquet")
        if users is not None:
            pl.DataFrame(users).write_parquet(folder / "users.parquet")
        return folder

    return make

"""An item that a shop sends again, unchanged, is the item that the release has."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from dataset.arrays import load_dataset
from dataset.config import DataConfig
from dataset.item_fields import ItemFields
from dataset.prepare.build import build
from dataset.prepare.item_fields_writer import read_items
from dataset.prepare.sources import shop_folder
from serving.catalogue.item_text import data_config, text_of
from serving.live.rules import changed_items
from shortlist_client.api.item import Item
from shortlist_client.wire.catalog import item_message, to_item

SINCE = datetime(2026, 5, 1, 9, tzinfo=UTC)
COLUMNS = {
    "string": pl.Series(["  Acme\n  mugs ", None, "x" * 20_000]),
    "category": pl.Series(["red", "blue", None], dtype=pl.Categorical),
    "enum": pl.Series(["a", None, "b"], dtype=pl.Enum(["a", "b"])),
    "strings": pl.Series([["a", None, " b"], [], None]),
    "whole": pl.Series([7, None, -1]),
    "large": pl.Series([2**52, 2**60, 0]),
    "byte": pl.Series([7, None, 0], dtype=pl.UInt8),
    "single": pl.Series([5.99, 1.0, float("nan")], dtype=pl.Float32),
    "double": pl.Series([5.99, 6.0, float("inf")]),
    "tiny": pl.Series([1e-7, -0.0, None]),
    "decimal": pl.Series(["19.90", "20.00", None]).str.to_decimal(scale=2),
    "boolean": pl.Series([True, False, None]),
    "date": pl.Series([date(2026, 5, 1), None, date(1999, 1, 1)]),
    "zoned": pl.Series([SINCE, None, SINCE]),
    "local": pl.Series([SINCE.replace(tzinfo=None, microsecond=5), None, datetime(1999, 1, 1)]),
    "clock": pl.Series([SINCE.time(), None, None]),
    "struct": pl.Series([{"a": 1}, None, {"a": 2}]),
}


class Known:
    """A state whose items are those of a release."""

    def __init__(self, items):
        self.items = items

    def known(self, item_id):
        return self.items[item_id]


@pytest.mark.parametrize("budget", [5, 64, 500])
@pytest.mark.parametrize("name", [*COLUMNS, "all"])
def test_an_item_sent_again_has_the_text_and_the_fields_of_the_release(tmp_path, name, budget):
    ids, columns = ["a", "b", "c"], COLUMNS if name == "all" else {name: COLUMNS[name]}
    config = DataConfig(fields=("title", *COLUMNS), token_budget=budget)
    items = pl.DataFrame({"item_id": ids, "title": ["Mug 7", "Été 日本", "Rug"], **columns})
    items.write_parquet(tmp_path / "items.parquet")
    events = {"user_id": ["u", "u", "u", "u"], "item_id": ["a", "b", "c", "a"]}
    pl.DataFrame({**events, "order": [1, 2, 3, 4]}).write_parquet(tmp_path / "interactions.parquet")
    build(config, shop_folder(tmp_path), tmp_path / "data")
    data, fields = load_dataset(tmp_path / "data"), ItemFields.load(tmp_path / "data")
    rows = {item_id: row for row, item_id in enumerate(data.item_ids)}
    stored = {i: Item(item_id=i, title=data.titles[row], **fields[row]) for i, row in rows.items()}

    from_file = [Item(**item) for item in read_items(tmp_path / "items.parquet")[1]]
    as_got = [to_item(item_message(stored[item_id])) for item_id in ids]
    sent = [to_item(item_message(item)) for item in from_file]

    for again in (from_file, as_got, sent):
        for item in again:
            text = data.texts[rows[item.item_id]]
            assert text_of(item, data_config(tmp_path)) == text
        assert changed_items(again, Known(stored)) == []

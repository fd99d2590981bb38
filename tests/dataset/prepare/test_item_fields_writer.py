import json
from datetime import UTC, date, datetime

import polars as pl
import pytest

from dataset.arrays import load_dataset
from dataset.config import DataConfig
from dataset.item_fields import ItemFields
from dataset.item_text import item_text
from dataset.prepare.build import build
from dataset.prepare.item_fields_writer import fields_of, read_items
from dataset.prepare.sources import shop_folder

START = datetime(2026, 5, 1, 9, tzinfo=UTC)
TABLE = pl.DataFrame(
    {
        "item_id": ["a", "b"],
        "title": ["A", "B"],
        "brand": ["Acme", None],
        "kind": pl.Series(["x", "y"], dtype=pl.Categorical),
        "tags": [["p", None, "q"], []],
        "maker_id": ["m", ""],
        "price": [1.5, float("nan")],
        "stock": [7, 0],
        "new": [True, False],
        "day": [date(2026, 5, 1), None],
        "since": [START, START],
        "size": [{"w": 1}, {"w": 2}],
        "cost": pl.Series(["1.25", "2"]).str.to_decimal(scale=2),
    }
)


def test_string_columns_become_texts_and_others_attributes():
    first, second = fields_of(TABLE)

    assert first == {
        "texts": {"brand": "Acme", "kind": "x", "tags": ["p", "q"], "maker_id": "m"},
        "attributes": {
            "price": 1.5,
            "stock": 7,
            "new": True,
            "day": "2026-05-01",
            "since": "2026-05-01T09:00:00+00:00",
            "cost": 1.25,
        },
    }
    assert second["texts"] == {"kind": "y"}
    assert second["attributes"] == {
        "stock": 0,
        "new": False,
        "since": "2026-05-01T09:00:00+00:00",
        "cost": 2.0,
    }
    assert json.loads(json.dumps([first, second])) == [first, second]


def test_a_table_of_ids_and_titles_has_no_texts_or_attributes():
    nothing = {"texts": {}, "attributes": {}}

    assert list(fields_of(TABLE.select("item_id", "title"))) == [nothing, nothing]


def test_stored_fields_of_an_item_render_to_its_text(make_folder, tmp_path):
    items = {"tags": [["x", "y"], [], None, ["z"]], "year": [1995, None, 3, 4]}
    config = DataConfig(fields=("title", "tags", "year", "description"), item_core=1, user_core=1)
    build(config, shop_folder(make_folder(items=items)), tmp_path / "data")

    data, fields = load_dataset(tmp_path / "data"), ItemFields.load(tmp_path / "data")

    assert len(data.item_ids) > 2
    for row, (title, text) in enumerate(zip(data.titles, data.texts, strict=True)):
        known = fields[row]
        read = {n: value for n, value in known["attributes"].items() if n in config.fields}
        assert item_text({**read, **known["texts"], "title": title}, config) == text


def test_a_file_of_items_is_read_row_by_row(tmp_path):
    path = tmp_path / "items.parquet"
    named = {"item_id": pl.Series([1, 2]), "title": pl.Series(["<b>A</b> &amp; B", None])}
    TABLE.with_columns(**named).write_parquet(path)

    count, items = read_items(path)

    assert count == 2
    first, second = items
    assert (first["item_id"], first["title"], first["texts"]["brand"]) == ("1", "A & B", "Acme")
    assert first["attributes"]["size.w"] == 1
    assert (second["item_id"], second["title"]) == ("2", "")


def test_a_file_of_items_is_read_like_the_data_stage_reads_it(make_folder, tmp_path):
    items = {
        "price": ["€ 9.50", "€ 1.00", None, "€ 1,000.00"],
        "maker": [{"name": "Acme", "tags": ["x"]}] * 4,
        "tags": pl.Series([["p"], [], None, ["q"]], dtype=pl.List(pl.Categorical)),
        "description": ["<p>Boils</p>", None, "a &lt; b", "Shines"],
    }
    folder = make_folder(items=items)
    build(DataConfig(), shop_folder(folder), tmp_path / "data")

    _, read = read_items(folder / "items.parquet")

    data, fields = load_dataset(tmp_path / "data"), ItemFields.load(tmp_path / "data")
    stored = {item_id: fields[row] for row, item_id in enumerate(data.item_ids)}
    assert {item["item_id"]: {k: item[k] for k in ("texts", "attributes")} for item in read} == (
        stored
    )


def test_a_file_without_items_is_refused(tmp_path):
    (tmp_path / "text.parquet").write_text("no table")
    TABLE.drop("title").write_parquet(tmp_path / "untitled.parquet")

    with pytest.raises(ValueError, match=r"text.parquet: must be a readable parquet file"):
        read_items(tmp_path / "text.parquet")
    with pytest.raises(ValueError, match="column 'title' must exist, got the columns"):
        read_items(tmp_path / "untitled.parquet")


def test_a_time_that_only_its_zone_moves_beyond_year_9999_is_written_in_utc():
    last = pl.Series([datetime(9999, 12, 31, 23, 59, 59)]).dt.replace_time_zone("UTC")
    until = last.dt.convert_time_zone("Asia/Tokyo")

    (fields,) = fields_of(pl.DataFrame({"item_id": ["a"], "title": ["A"], "until": until}))

    assert fields["attributes"] == {"until": "9999-12-31T23:59:59+00:00"}


def test_a_file_of_items_with_a_date_beyond_year_9999_is_refused_by_column(tmp_path):
    until = pl.Series([9_999_999], dtype=pl.Int32).cast(pl.Date)
    table = pl.DataFrame({"item_id": ["a"], "title": ["A"], "until": until})
    table.write_parquet(tmp_path / "items.parquet")

    with pytest.raises(ValueError, match=r"column 'until' must be within the years 1 to 9999"):
        read_items(tmp_path / "items.parquet")

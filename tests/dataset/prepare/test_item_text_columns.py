from datetime import UTC, date, datetime

import polars as pl

from dataset.config import DataConfig
from dataset.prepare.item_text_columns import rendered
from dataset.prepare.schema import attribute_columns, text_columns


def test_columns_of_every_kind_are_rendered_in_the_order_of_priority():
    columns = {
        "item_id": ["a", "b"],
        "title": ["Kite", "Mug"],
        "zest": ["z", None],
        "size": pl.Series(["L", None], dtype=pl.Categorical),
        "tags": [["red", None, "silk"], []],
        "year": [1995, None],
        "price": pl.Series([5.99, float("nan")], dtype=pl.Float32),
        "weight": [2.0, None],
        "cost": pl.Series(["19.90", None]).str.to_decimal(scale=2),
        "new": [True, None],
        "day": [date(2026, 5, 1), None],
        "since": [datetime(2026, 5, 1, 9, tzinfo=UTC), None],
        "image_url": ["http", None],
        "stock": [3, 4],
    }
    named = "title,tags,year,price,weight,cost,new,day,since,size,none"

    texts = rendered(pl.DataFrame(columns), DataConfig(fields=tuple(named.split(","))))

    first = (
        "Kite. red, silk. 1995. 5.99. 2. 19.9. true. 2026-05-01. 2026-05-01T09:00:00+00:00. L. z"
    )
    assert texts == [first, "Mug"]


def test_other_text_columns_follow_by_name_without_keys_and_addresses():
    schema = pl.Schema(
        {
            "item_id": pl.String,
            "title": pl.String,
            "zest": pl.String,
            "colour": pl.Categorical(),
            "brand": pl.String,
            "stock_code": pl.String,
            "image_url": pl.String,
            "parent_id": pl.String,
            "price": pl.Float64,
        }
    )

    texts = text_columns(schema, ("title", "brand", "description"))

    assert texts == ["title", "brand", "colour", "zest"]


def test_configured_columns_are_rendered_even_if_they_are_keys_or_typed():
    schema = pl.Schema(
        {"item_id": pl.String, "title": pl.String, "a_code": pl.String, "n": pl.Int8}
    )

    texts = text_columns(schema, ("n", "a_code", "title"))

    assert texts == ["n", "a_code", "title"]


def test_typed_columns_and_short_strings_are_attributes():
    short, long = ["x" * 100, None, "", "y"], ["x" * 101] * 4
    items = pl.DataFrame(
        {
            "item_id": ["a", "b", "c", "d"],
            "title": short,
            "category": short,
            "description": long,
            "colour": pl.Series(["red"] * 4, dtype=pl.Categorical),
            "tags": [["a"], [], None, ["b"]],
            "empty": pl.Series([None] * 4, dtype=pl.String),
            "price": [1, 2, 3, None],
        }
    )

    assert attribute_columns(items) == ["category", "colour", "tags", "empty", "price"]


def test_a_column_with_one_percent_of_long_strings_is_an_attribute():
    values = ["red"] * 99 + ["x" * 500]
    items = pl.DataFrame({"item_id": range(200), "colour": values * 2})

    assert attribute_columns(items) == ["colour"]
    assert attribute_columns(items.with_columns(colour=pl.Series(values[-4:] * 50))) == []


def test_columns_of_unreadable_types_are_no_text():
    schema = {"title": pl.String, "category": pl.List(pl.Int8), "brand": pl.Binary, "t": pl.Time}

    assert text_columns(pl.Schema(schema), ("title", "brand", "category", "t")) == ["title"]

import polars as pl
import pytest

from dataset.config import DataConfig
from dataset.prepare.column_names import mapped, nearest, suggestion
from dataset.prepare.sources import open_source
from dataset.prepare.validation import InputError


@pytest.mark.parametrize(
    ("name", "present", "expected"),
    [
        ("item_id", ["ITEM_ID", "title"], "ITEM_ID"),
        ("item_id", ["asin", "title"], "asin"),
        ("item_id", ["itemId", "sku"], "itemId"),
        ("item_id", ["Product ID", "x"], "Product ID"),
        ("user_id", ["CustomerID"], "CustomerID"),
        ("title", ["name", "brand"], "name"),
        ("title", ["titel"], "titel"),
        ("timestamp", ["event_time"], "event_time"),
        ("timestamp", ["time_stamp"], "time_stamp"),
        ("item_id", ["colour", "price"], None),
    ],
)
def test_the_column_that_is_meant_is_suggested(name, present, expected):
    assert nearest(name, present) == expected
    assert (f"`columns: {{{expected}: {name}}}`" in suggestion(name, present)) == bool(expected)


def test_a_mapped_name_gives_way_to_a_column_that_has_it():
    both = pl.LazyFrame({"id": [1], "item_id": [2]})

    assert mapped(both, {"id": "item_id"}).collect().rows(named=True) == [{"id": 1, "item_id": 2}]
    assert mapped(both.drop("item_id"), {"id": "item_id"}).collect().columns == ["item_id"]


def test_a_mapping_that_no_table_follows_is_refused_by_name(make_folder):
    config = DataConfig(columns={"sku": "item_id"})

    with pytest.raises(InputError, match=r"sku: item_id, items with \['item_id'"):
        open_source(str(make_folder()), config=config)


def test_two_columns_with_one_target_are_refused():
    with pytest.raises(ValueError, match="columns must have distinct targets"):
        DataConfig(columns={"a": "item_id", "b": "item_id"})

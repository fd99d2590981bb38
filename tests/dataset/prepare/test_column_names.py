import polars as pl
import pytest

from dataset.config import DataConfig
from dataset.prepare.column_names import mapped
from dataset.prepare.sources import open_source
from dataset.prepare.validation import InputError


def test_a_mapped_name_gives_way_to_a_column_that_has_it():
    both = pl.LazyFrame({"id": [1], "item_id": [2]})

    assert mapped(both, {"id": "item_id"}).collect().rows(named=True) == [{"id": 1, "item_id": 2}]
    assert mapped(both.drop("item_id"), {"id": "item_id"}).collect().columns == ["item_id"]


def test_a_mapping_that_no_table_follows_is_refused_by_name(make_folder):
    config = DataConfig(columns={"sku": "item_id"})

    with pytest.raises(InputError, match=r"sku: item_id, items with \['item_id'"):
        open_source(str(make_folder()), config=config)


def test_two_tables_may_name_one_column_differently(make_folder):
    items = {"item_id": None, "sku": ["a", "b", "c", "d"]}
    events = {"item_id": None, "product": list("abcbabd")}
    config = DataConfig(columns={"sku": "item_id", "product": "item_id"})

    source = open_source(str(make_folder(items, events)), config=config)

    assert source.items.names == {"item_id": "sku"}
    assert source.interactions.names == {"item_id": "product"}


def test_two_columns_of_a_table_with_one_target_are_refused_with_the_line_that_chooses(make_folder):
    events = {"item_id": None, "product id": list("abcbabd"), "line": list("1234567")}
    folder = make_folder(events=events)
    columns = {"product id": "item_id", "line": "item_id"}

    with pytest.raises(InputError, match="must map one column of a table to 'item_id'") as caught:
        open_source(str(folder), config=DataConfig(columns=columns))

    line = """compute: {item_id: '"product id"'}"""
    assert f"`{line}`" in str(caught.value)
    assert "needs 'line', too" in str(caught.value)

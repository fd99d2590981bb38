import gzip

import numpy as np
import polars as pl
import pytest

from dataset.arrays import TEST, TRAIN, VALID
from dataset.labelled_texts import table_name
from dataset.prepare.labelled_table import Columns, labelled_files, read_labelled
from dataset.prepare.validation import InputError

ROWS = pl.DataFrame(
    {
        "item_id": ["1", "2", "3"],
        "title": ["Red <b>mug</b>", "Lamp", "Vase"],
        "brand": ["Acme", None, "Best"],
        "label": ["a", " ", "b"],
        "price": [1.5, None, 3.0],
        "split": ["train", "Validation", "test"],
    }
)


def read(path, target=("label",), text=("title",), task="auto"):
    columns = Columns(text=text, target=target, task=task, token_budget=64)
    return read_labelled(labelled_files(path), columns)


def written(folder, name):
    path = folder / name
    if ".csv" in name:
        data = ROWS.write_csv().encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    elif ".jsonl" in name:
        ROWS.write_ndjson(path)
    else:
        ROWS.write_parquet(path)
    return path


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.csv.gz", "t.jsonl"])
def test_every_format_gives_the_same_texts_labels_and_splits(tmp_path, name):
    found = read(written(tmp_path, name))

    assert found.texts == ["Red mug", "Lamp", "Vase"]
    assert found.targets["label"] == ["a", None, "b"]
    assert found.splits.tolist() == [TRAIN, VALID, TEST]


def test_a_folder_stands_for_its_items_or_its_only_table(tmp_path):
    only = tmp_path / "only"
    only.mkdir()
    written(only, "data.parquet")
    assert labelled_files(only).parts == (only / "data.parquet",)

    written(only, "items.csv")
    assert labelled_files(only).parts == (only / "items.csv",)


def test_a_folder_of_several_tables_is_refused(tmp_path):
    written(tmp_path, "a.parquet")
    written(tmp_path, "b.csv")

    with pytest.raises(InputError, match=r"got 2 tables, like a\.parquet; name a file"):
        labelled_files(tmp_path)


def test_several_columns_are_rendered_in_the_order_given(tmp_path):
    found = read(written(tmp_path, "t.parquet"), text=("brand", "title"))

    assert found.texts == ["Acme. Red mug", "Lamp", "Best. Vase"]


def test_without_columns_the_text_is_that_of_an_item_without_the_target(tmp_path):
    found = read(written(tmp_path, "t.parquet"), text=())

    assert found.text_columns == ("title", "brand")


@pytest.mark.parametrize(
    ("values", "task", "numeric"),
    [
        (np.arange(30), "auto", True),
        (np.arange(30) % 5, "auto", False),
        (np.arange(30) % 5, "number", True),
        (np.arange(30) / 2, "labels", False),
        ([f"£{row}.50" for row in range(30)], "auto", True),
    ],
)
def test_numbers_with_many_values_are_numbers_unless_told_otherwise(
    tmp_path, values, task, numeric
):
    table = pl.DataFrame({"title": ["x"] * 30, "cost": values})
    table.write_parquet(tmp_path / "t.parquet")

    found = read(tmp_path / "t.parquet", target=("cost",), task=task).targets["cost"]

    assert isinstance(found, np.ndarray) == numeric
    if not numeric and task == "auto":
        assert found[:6] == ["0", "1", "2", "3", "4", "0"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"target": ("lable",)}, "target must be a column of the table, got 'lable'; name 'label'"),
        ({"text": ("titel",)}, "text must be a column of the table, got 'titel'; name 'title'"),
        ({"target": ("colour",)}, "name one of item_id, title"),
        ({"target": ("title",), "task": "number"}, "must have numbers alone for `task: number`"),
    ],
)
def test_a_wrong_column_is_refused_with_its_remedy(tmp_path, options, says):
    with pytest.raises(InputError, match=says) as refused:
        read(written(tmp_path, "t.parquet"), **{"text": ("brand",), **options})

    assert "\n" not in str(refused.value)


def test_an_unknown_split_is_refused(tmp_path):
    ROWS.with_columns(split=pl.lit("holdout")).write_parquet(tmp_path / "t.parquet")

    with pytest.raises(InputError, match="must be train, valid or test, got 3 other values"):
        read(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("path", "name"),
    [("a/shop", "shop"), ("a/shop.csv.gz", "shop"), ("a/shop.parquet", "shop"), ("a/v1.2", "v1.2")],
)
def test_a_table_is_named_by_its_folder_or_file(path, name):
    assert table_name(path) == name

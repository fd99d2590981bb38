import logging

import pytest

from dataset.arrays import load_dataset
from dataset.config import DataConfig
from dataset.item_fields import ItemFields
from dataset.prepare.build import build
from dataset.prepare.item_fields_writer import read_items
from dataset.prepare.sources import open_source
from dataset.prepare.validation import InputError
from lineage.manifest import read_manifest
from serving.api.limits import Limits
from serving.api.validation import check_item
from shortlist_client.api.item import TEXT_BYTES, TITLE_BYTES, Item


def test_an_id_that_no_request_may_name_is_refused_with_its_row(make_folder, tmp_path):
    long = "x" * 257
    for items, events, column in (
        ({"item_id": ["a", "b", "c", long]}, {}, "item_id"),
        ({}, {"user_id": ["u", "u", "u", "v", "v", "v", long]}, "user_id"),
        ({}, {"action": ["view"] * 6 + [long]}, "action"),
    ):
        source = open_source(str(make_folder(items, events)))
        with pytest.raises(InputError, match=f"column '{column}' must have at most 256") as caught:
            build(DataConfig(), source, tmp_path / "data")
        assert str(caught.value).count("xxx") >= 1


def test_an_id_of_the_greatest_length_is_accepted(make_folder, tmp_path):
    long = "é" * 256
    folder = make_folder({"item_id": ["a", "b", "c", long]}, {"item_id": [*"abcbab", long]})
    build(DataConfig(), open_source(str(folder)), tmp_path / "data")

    assert long in load_dataset(tmp_path / "data").item_ids


def test_long_texts_are_cut_at_a_character_and_counted(make_folder, tmp_path, caplog):
    title, text = "日" * TITLE_BYTES, "a" + "é" * TEXT_BYTES
    folder = make_folder(
        {"title": ["Lamp", title, title, "Rug"], "description": [text, None, "short", "b"]}
    )
    with caplog.at_level(logging.WARNING):
        build(DataConfig(), open_source(str(folder)), tmp_path / "data")

    data, fields = load_dataset(tmp_path / "data"), ItemFields.load(tmp_path / "data")
    rows = {item_id: row for row, item_id in enumerate(data.item_ids)}
    assert data.titles[rows["b"]] == "日" * (TITLE_BYTES // 3)
    assert fields[rows["a"]]["texts"]["description"] == "a" + "é" * ((TEXT_BYTES - 1) // 2)
    assert fields[rows["c"]]["texts"]["description"] == "short"
    assert read_manifest(tmp_path / "data", "data").facts["cut_texts"] == {
        "title": 2,
        "description": 1,
    }
    assert "cut 2 texts of column 'title'" in caplog.text
    for item_id, row in rows.items():
        check_item(Item(item_id=item_id, title=data.titles[row], **fields[row]), Limits())
    _, items = read_items(folder / "items.parquet")
    for item in items:
        check_item(Item(**item), Limits())


def test_an_item_that_is_too_large_as_a_whole_is_refused_by_name(make_folder, tmp_path):
    tags = ["some tag"] * 10_000
    source = open_source(str(make_folder({"tags": [["x"], tags, [], None]})))

    with pytest.raises(InputError, match="fields of item 'b' must have at most 65,536 bytes"):
        build(DataConfig(), source, tmp_path / "data")

import gzip

import polars as pl
import pytest

from dataset.config import DataConfig
from dataset.prepare.build import build
from dataset.prepare.check import check_source
from dataset.prepare.sources import open_source
from dataset.prepare.validation import InputError

ITEMS = "item_id,title\na,Kettle\n\nb,Lamp\n,\n"
CSV = 'user_id,item_id,timestamp\nu,a,1700000001\n\n,,\n"",  ,\nu,b,1700000002\n\n'
LINES = (
    '{"user_id": "u", "item_id": "a", "timestamp": 1700000001}\n\n{}\n'
    '{"user_id": null, "item_id": " ", "timestamp": null}\n  \n'
    '{"user_id": "u", "item_id": "b", "timestamp": 1700000002}\n'
)


@pytest.mark.parametrize(
    ("name", "text"),
    [("interactions.csv", CSV), ("interactions.jsonl", LINES), ("interactions.jsonl.gz", LINES)],
)
def test_blank_rows_are_counted_in_the_report(tmp_path, name, text):
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "items.csv").write_text(ITEMS)
    packed = gzip.compress(text.encode()) if name.endswith(".gz") else text.encode()
    (folder / name).write_bytes(packed)

    report = check_source(str(folder), tmp_path, DataConfig())
    built = build(DataConfig(), open_source(str(folder), tmp_path), tmp_path / "data")

    assert not report.broken
    assert report.interactions == 2
    for steps in (report.dropped, built):
        found = {s.table: (s.rows_in, s.rows_out) for s in steps if s.rule == "blank rows"}
        assert found == {"items": (4, 2), "interactions": (6, 2)}


def test_a_file_without_blank_rows_has_no_such_line(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "items.csv").write_text("item_id,title\na,Kettle\n")
    (folder / "interactions.csv").write_text("user_id,item_id,timestamp\nu,a,1700000001\n")

    report = check_source(str(folder), tmp_path, DataConfig())

    assert [step for step in report.dropped if step.rule == "blank rows"] == []


def test_interactions_of_blank_rows_alone_are_a_shop_without_interactions(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "items.csv").write_text(ITEMS)
    (folder / "interactions.csv").write_text("user_id,item_id,timestamp\n,,\n\n")

    report = build(DataConfig(), open_source(str(folder), tmp_path), tmp_path / "data")

    assert [s.rows for s in report if (s.table, s.rule) == ("interactions", "blank rows")] == [2]


SALES = {
    "user_id": ["u", None, " ", "u"],
    "item_id": ["a", None, "", "b"],
    "timestamp": [1_700_000_001, None, None, 1_700_000_002],
    "title": ["Kettle", None, None, "Lamp"],
    "price": [1.0, None, float("nan"), 2.0],
}
ONE_FILE = {"items": "sales.parquet", "interactions": "sales.parquet", "duplicates": "merge"}


@pytest.mark.parametrize("part", ["sales.parquet", "sales.parquet/country=DE/part-0.parquet"])
def test_rows_of_nulls_in_parquet_are_blank_rows_of_both_tables(tmp_path, part):
    (tmp_path / part).parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(SALES).write_parquet(tmp_path / part)

    report = check_source(str(tmp_path), tmp_path, DataConfig(**ONE_FILE))

    assert not report.broken
    found = {s.table: (s.rows_in, s.rows_out) for s in report.dropped if s.rule == "blank rows"}
    assert found == {"items": (4, 2), "interactions": (4, 2)}
    assert (report.items, report.interactions) == (2, 2)


def test_a_row_of_parquet_with_one_cell_is_not_blank(tmp_path):
    sales = {**SALES, "price": [1.0, 3.0, 3.0, 2.0]}
    pl.DataFrame(sales).write_parquet(tmp_path / "sales.parquet")

    report = check_source(str(tmp_path), tmp_path, DataConfig(**ONE_FILE))

    assert [step for step in report.dropped if step.rule == "blank rows"] == []
    assert any("'item_id' must not be null" in line for line in report.broken)


def test_a_rule_that_one_file_breaks_as_both_tables_is_named_once(tmp_path):
    sales = {**SALES, "item_id": ["a", None, None, None], "price": [1.0] * 4}
    pl.DataFrame(sales).write_parquet(tmp_path / "sales.parquet")
    config = DataConfig(**ONE_FILE)

    report = check_source(str(tmp_path), tmp_path, config)
    with pytest.raises(InputError) as refused:
        build(config, open_source(str(tmp_path), tmp_path, config), tmp_path / "data")

    assert len(set(report.broken)) == len(report.broken)
    assert str(refused.value).count("'item_id' must not be null") == 1
    assert str(refused.value).startswith("3 rules are broken:")


def test_a_note_on_one_file_is_given_once(tmp_path, caplog):
    (tmp_path / "sales.csv").write_text(
        "user_id,item_id,timestamp,title,title\nu,a,1700000001,Kettle,Pot\n"
        "u,b,1700000002,Lamp,Light\n"
    )
    config = DataConfig(items="sales.csv", interactions="sales.csv")

    report = check_source(str(tmp_path), tmp_path, config)
    build(config, open_source(str(tmp_path), tmp_path, config), tmp_path / "data")

    assert len([note for note in report.warnings if "comes more than once" in note]) == 1
    assert caplog.text.count("comes more than once") == 1

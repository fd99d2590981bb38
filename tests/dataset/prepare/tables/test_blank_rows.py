import gzip

import pytest

from dataset.config import DataConfig
from dataset.prepare.build import build
from dataset.prepare.check import check_source
from dataset.prepare.sources import open_source

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

import gzip
import random

import polars as pl
import pytest

from dataset.config import DataConfig
from dataset.prepare.canonical import canonical
from dataset.prepare.rules import expressions
from dataset.prepare.sources import open_source, opened_table
from dataset.prepare.tables.files import files_at
from dataset.prepare.tables.scan import rows_of
from dataset.prepare.validation import InputError

CSV = """\ufeff
item_id;"title
in two lines";note
a;Kettle;"one
two

four"

b;"Big ""lamp""

of brass";
;;
c;Chair;x
a;Kettle;again
"""
LINES = {"a": [4, 14], "b": [9], "c": [13]}


def opened(path, **options):
    config = DataConfig(**options)
    return opened_table(files_at(path), config, rules=expressions(config))


def shown(table, wanted):
    """Places of the rows with some ids."""
    ids = table.frame.collect()["item_id"].to_list()
    found = table.places([row for row, name in enumerate(ids) if name in wanted])
    return found.name, found.to_list()


@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_a_row_of_csv_is_at_the_line_where_an_editor_shows_it(tmp_path, ending):
    path = tmp_path / f"items{ending}"
    path.write_bytes(gzip.compress(CSV.encode()) if ending.endswith("gz") else CSV.encode())
    columns = {"title\nin two lines": "title"}

    for name, lines in LINES.items():
        assert shown(opened(path, columns=columns), name) == ("line", lines)


def test_dropped_rows_count_too(tmp_path):
    path = tmp_path / "items.csv"
    path.write_text(CSV)

    assert shown(opened(path, drop={"brass": "item_id <> 'c'"}), "c") == ("line", [13])


def test_commands_that_read_lines_count_alike(tmp_path):
    path = tmp_path / "items.csv"
    path.write_text(CSV)

    lines = [(row["item_id"], line) for _, line, row in rows_of(files_at(path))]

    assert lines == [("a", 4), ("b", 9), ("c", 13), ("a", 14)]


def test_blank_lines_of_json_count(tmp_path):
    path = tmp_path / "items.jsonl"
    path.write_text('{"item_id": "a"}\n\n \n{"item_id": "b"}\n')

    assert shown(opened(path), "b") == ("line", [4])


def test_rows_of_parquet_count_from_1_in_their_part(tmp_path):
    folder = tmp_path / "items.parquet"
    folder.mkdir()
    pl.DataFrame({"item_id": ["a", "b"]}).write_parquet(folder / "0.parquet")
    pl.DataFrame({"item_id": ["c", "a"]}).write_parquet(folder / "1.parquet")

    assert shown(opened(folder / "0.parquet"), "b") == ("row", [2])
    assert shown(opened(folder), "a") == ("place", ["0.parquet, row 1", "1.parquet, row 2"])


def test_a_row_far_down_a_large_file_is_found(tmp_path):
    path, draw = tmp_path / "items.csv", random.Random(3)
    lines, where = ["item_id,note"], dict[str, int]()
    for number in range(60_000):
        where[str(number)] = len(lines) + 1
        lines.append(f"{number},{'x' * draw.randrange(60)}")
        lines += [""] if number % 7 == 0 else []
    path.write_text("\n".join(lines))
    asked = ["20000", "40000"]

    assert shown(opened(path), asked) == ("line", [where[name] for name in asked])


def test_a_broken_rule_names_the_lines_of_each_part(tmp_path):
    (tmp_path / "items.csv").write_text("item_id,title\na,Kettle\n")
    parts = tmp_path / "interactions.csv"
    parts.mkdir()
    (parts / "1.csv").write_text("user_id,item_id,timestamp\nu,a,2024-05-01\n")
    (parts / "2.csv").write_text("user_id,item_id,timestamp\n\nu,a,2024-05-02\nu,a,soon\n")

    with pytest.raises(InputError, match="readable time") as caught:
        canonical(open_source(str(tmp_path)))

    assert "| place         | timestamp |" in str(caught.value)
    assert "| 2.csv, line 4 | soon      |" in str(caught.value)

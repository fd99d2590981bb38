"""One shop in every form gives one stage."""

import gzip
import json
from datetime import datetime

import polars as pl
import pytest

from dataset.arrays import load_dataset
from dataset.config import DataConfig
from dataset.prepare.build import build, is_current
from dataset.prepare.sources import open_source
from dataset.prepare.validation import InputError
from lineage.manifest import read_manifest

ITEMS = pl.DataFrame(
    {
        "item_id": ["0012", "12", "1.10", "x;y"],
        "title": ["Red, big kettle", "null", 'Say "hi"', "two\nlines"],
        "price": [9.5, 8.0, None, 3.0],
        "stock": [1, 2, 3, 4],
        "new": [True, False, None, True],
    }
)
EVENTS = pl.DataFrame(
    {
        "user_id": ["null", "null", "null", "007", "007", "007", "7"],
        "item_id": ["0012", "12", "1.10", "12", "0012", "12", "x;y"],
        "timestamp": [1_700_000_000 + n for n in (1, 2, 3, 10, 20, 30, 5)],
    }
)


def compressed(path, pack):
    content = path.read_bytes()
    path.unlink()
    path.with_name(f"{path.name}.gz").write_bytes(pack(content))


def as_parquet(folder, name, table):
    table.write_parquet(folder / f"{name}.parquet")


def as_csv(folder, name, table):
    table.write_csv(folder / f"{name}.csv")


def as_semicolons(folder, name, table):
    table.write_csv(folder / f"{name}.csv", separator=";", include_bom=True, line_terminator="\r\n")


def as_gzipped_tabs(folder, name, table):
    table.write_csv(folder / f"{name}.csv", separator="\t")
    compressed(folder / f"{name}.csv", gzip.compress)


def as_zstd_csv(folder, name, table):
    table.lazy().sink_csv(folder / f"{name}.csv.zst", compression="zstd")


def as_lines(folder, name, table):
    table.write_ndjson(folder / f"{name}.jsonl")


def as_gzipped_lines(folder, name, table):
    table.write_ndjson(folder / f"{name}.ndjson")
    compressed(folder / f"{name}.ndjson", gzip.compress)


def as_zstd_lines(folder, name, table):
    table.lazy().sink_ndjson(folder / f"{name}.jsonl.zst", compression="zstd")


def as_spark(folder, name, table):
    parts = folder / f"{name}.parquet"
    parts.mkdir()
    table.head(2).write_parquet(parts / "part-00000-1f.snappy.parquet")
    table.tail(-2).write_parquet(parts / "part-00001-1f.snappy.parquet")
    (parts / "_SUCCESS").touch()
    (parts / ".part-00000-1f.snappy.parquet.crc").write_text("crc")


def as_parts_of_csv(folder, name, table):
    (folder / name).mkdir()
    table.head(2).write_csv(folder / name / "a.csv")
    table.tail(-2).write_csv(folder / name / "b.csv")


FORMS = [
    as_csv,
    as_semicolons,
    as_gzipped_tabs,
    as_zstd_csv,
    as_lines,
    as_gzipped_lines,
    as_zstd_lines,
    as_spark,
    as_parts_of_csv,
]


def built(tmp_path, form, **options):
    folder, out = tmp_path / form.__name__, tmp_path / f"{form.__name__}.out"
    folder.mkdir()
    for name, table in (("items", ITEMS), ("interactions", EVENTS)):
        form(folder, name, table)
    config = DataConfig(**options)
    build(config, open_source(str(folder), config=config), out)
    return out


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_every_form_gives_the_stage_that_parquet_gives(tmp_path, form):
    expected = read_manifest(built(tmp_path, as_parquet), "data")

    made = read_manifest(built(tmp_path, form), "data")

    assert made.files == expected.files
    assert made.facts == expected.facts


def test_names_of_the_shop_are_mapped_in_both_tables(make_folder, tmp_path):
    folder = make_folder()
    for name in ("items", "interactions"):
        path = folder / f"{name}.parquet"
        pl.read_parquet(path).rename({"item_id": "sku"}).write_parquet(path)
    config = DataConfig(columns={"sku": "item_id"})

    build(config, open_source(str(folder), config=config), tmp_path / "data")

    assert set(load_dataset(tmp_path / "data").item_ids) == {"a", "b", "c", "d"}


def test_one_file_may_hold_both_tables(tmp_path):
    sales = EVENTS.join(ITEMS, on="item_id")
    sales.write_csv(tmp_path / "sales.csv")
    config = DataConfig(items="sales.csv", interactions="sal*.csv", duplicates="last")

    build(config, open_source(str(tmp_path), config=config), tmp_path / "data")

    assert len(load_dataset(tmp_path / "data").item_ids) == 4
    attributes = read_manifest(tmp_path / "data", "data").facts["attributes"]
    assert set(attributes) == {"price", "stock", "new"}


def test_a_stage_is_out_of_date_once_a_part_changes(tmp_path):
    out = built(tmp_path, as_spark)
    folder, config = tmp_path / "as_spark", DataConfig()
    assert is_current(config, open_source(str(folder)), out)

    EVENTS.head(1).write_parquet(folder / "interactions.parquet" / "part-00002.parquet")

    assert not is_current(config, open_source(str(folder)), out)


def test_whole_numbers_in_floating_point_are_ids(tmp_path):
    items = pl.DataFrame({"item_id": [1, 2], "title": ["a", "b"]})
    items.write_parquet(tmp_path / "items.parquet")
    events = pl.DataFrame({"user_id": [7.0] * 3, "item_id": [1.0, 2.0, 1.0], "order": [1, 2, 3]})
    events.write_parquet(tmp_path / "interactions.parquet")

    build(DataConfig(), open_source(str(tmp_path)), tmp_path / "data")

    data = load_dataset(tmp_path / "data")
    assert (set(data.item_ids), list(data.user_ids)) == ({"1", "2"}, ["7"])


def test_a_json_null_is_no_id_and_the_word_null_is_one(tmp_path):
    (tmp_path / "items.jsonl").write_text('{"item_id": "null", "title": "a"}\n')
    rows = [{"user_id": user, "item_id": "null", "order": 1} for user in ("null", None)]
    (tmp_path / "interactions.jsonl").write_text("\n".join(map(json.dumps, rows)))

    with pytest.raises(ValueError, match="'user_id' must not be null or empty, got 1 row that"):
        build(DataConfig(), open_source(str(tmp_path)), tmp_path / "data")


def test_a_column_of_csv_that_comes_twice_is_said(tmp_path):
    (tmp_path / "items.csv").write_text("item_id,title,title\na,Kettle,Red\n")
    (tmp_path / "interactions.csv").write_text("user_id,item_id,timestamp\nu,a,1700000000\n")

    (note,) = open_source(str(tmp_path), tmp_path).items.findings.notes
    assert note.startswith("column 'title' comes more than once: the first one counts, and another")
    assert "`ignore: [title_duplicated_0]`" in note
    ignored = DataConfig(ignore=("title_duplicated_0",))
    assert not open_source(str(tmp_path), tmp_path, ignored).items.findings.notes


def test_parts_of_which_some_have_a_zone_are_refused_in_one_line(tmp_path):
    times = pl.Series("timestamp", [datetime(2024, 1, 1)])
    parts = tmp_path / "interactions.parquet"
    parts.mkdir()
    for name, column in (("a", times), ("b", times.dt.replace_time_zone("UTC"))):
        pl.DataFrame([column]).write_parquet(parts / f"{name}.parquet")
    ITEMS.write_parquet(tmp_path / "items.parquet")

    with pytest.raises(InputError, match=r"parts that give one column two types .*; write all"):
        open_source(str(tmp_path))

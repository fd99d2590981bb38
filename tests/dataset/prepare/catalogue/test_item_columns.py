from datetime import time, timedelta

import polars as pl
import pytest

from dataset.arrays import load_dataset
from dataset.config import DataConfig
from dataset.postings import load_postings
from dataset.prepare.build import build
from dataset.prepare.catalogue.item_columns import usable
from dataset.prepare.sources import open_source
from dataset.prepare.validation import Findings

TAGS = [["garden", "sale"], ["garden", None], None, []]


@pytest.mark.parametrize(
    "column",
    [
        pl.Series(TAGS),
        pl.Series(TAGS, dtype=pl.List(pl.Categorical)),
        pl.Series(TAGS, dtype=pl.List(pl.Enum(["garden", "sale"]))),
        pl.Series(
            [["garden", "sale"], ["garden", None], None, ["x", "y"]], dtype=pl.Array(pl.String, 2)
        ),
        pl.Series(["garden", "garden", None, None], dtype=pl.Categorical),
        pl.Series([b"garden", b"garden", None, b""]),
    ],
    ids=["list", "dictionary", "enum", "fixed size", "categorical", "bytes"],
)
def test_strings_of_every_kind_are_in_the_text_and_filters(make_folder, tmp_path, column):
    source = open_source(str(make_folder({"category": column, "description": None})))
    build(DataConfig(), source, tmp_path / "data")

    data = load_dataset(tmp_path / "data")
    rows = {item_id: row for row, item_id in enumerate(data.item_ids)}
    garden = load_postings(tmp_path / "data")["category"][1].rows(["garden"])
    assert {data.item_ids[row] for row in garden} == {"a", "b"}
    assert "garden" in data.texts[rows["a"]]
    assert "garden" in data.texts[rows["b"]]
    assert "garden" not in data.texts[rows["c"]]


def test_fields_of_structs_become_columns():
    meta = [{"brand": "Acme", "size": {"cm": 3}}, None]
    items = pl.DataFrame({"item_id": ["a", "b"], "title": ["A", "B"], "meta": meta})

    table = usable(items, Findings())

    assert table.columns == ["item_id", "title", "meta.brand", "meta.size.cm"]
    assert table["meta.brand"].to_list() == ["Acme", None]


def test_columns_that_nothing_can_use_are_named_with_the_reason():
    items = pl.DataFrame({"item_id": ["a"], "title": ["A"]}).with_columns(
        pl.lit([0.5]).alias("vector"),
        pl.lit(b"\x00\xff").alias("image"),
        pl.lit(None).alias("nothing"),
        pl.lit(None, pl.String).alias("no text"),
        pl.lit(None, pl.List(pl.String)).alias("no list"),
        pl.lit(float("nan")).alias("no number"),
        pl.lit(timedelta(1)).alias("duration"),
        pl.lit(time(8)).alias("opens"),
        pl.Series("objects", [[{"a": 1}]]),
        pl.lit("x").alias(" "),
        pl.lit("x").alias("long" * 100),
        pl.struct(brand=pl.lit("Acme")).alias("meta"),
        pl.lit("Zeta").alias("meta.brand"),
    )
    findings = Findings()

    table = usable(items, findings)

    assert table.columns == ["item_id", "title", "meta.brand"]
    named = " ".join(findings.notes)
    empty = ("nothing", "no text", "no list", "no number")
    for name in (*empty, "vector", "image", "duration", "opens", "objects", " ", "long" * 100):
        assert f"column {name!r} is not used" in named
    assert "column 'meta.brand' is not used: another one has its name" in named


def test_infinite_numbers_count_as_none_and_a_note_says_so():
    prices = [1.5, float("inf"), float("-inf"), float("nan"), None]
    items = pl.DataFrame({"item_id": list("abcde"), "title": list("ABCDE"), "price": prices})
    findings = Findings()

    table = usable(items, findings)

    assert table["price"].to_list() == [1.5, None, None, None, None]
    assert findings.notes == ["column 'price': 2 infinite values count as none"]


def test_texts_lose_html_in_lists_and_titles_too(make_folder, tmp_path):
    titles = ["<b>Red</b> kettle", "Tom &amp; Jerry", "Rug", "Lamp"]
    folder = make_folder({"title": titles, "tags": [["a &amp; b"], ["c"], None, []]})
    build(DataConfig(), open_source(str(folder)), tmp_path / "data")

    data = load_dataset(tmp_path / "data")

    assert {"Red kettle", "Tom & Jerry"} < set(data.titles)
    assert load_postings(tmp_path / "data")["tags"][1].rows(["a & b"])


@pytest.mark.parametrize(("keep", "title"), [("first", "Red kettle"), ("last", "Été: 日本 🎮")])
def test_one_row_of_a_duplicate_id_is_kept_and_the_others_counted(
    make_folder, tmp_path, keep, title
):
    folder = make_folder({"item_id": ["a", "b", "a", "d"]}, {"item_id": list("abababd")})

    report = build(DataConfig(duplicates=keep), open_source(str(folder)), tmp_path / "data")

    data = load_dataset(tmp_path / "data")
    assert dict(zip(data.item_ids, data.titles, strict=True))["a"] == title
    assert (report[0].rule, report[0].rows) == (f"duplicate item id, {keep} row kept", 1)

import gzip
import json

import polars as pl
import pytest

from serving.__main__ import main
from serving.api.errors import UnknownItemError
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.item import Item, KnownItem
from shortlist_client.client import RecommenderClient


class Shop:
    """An engine that stores items in a dictionary and refuses odd titles."""

    versions, version_token, cache_lookups, actions = {"data": "d1"}, 0, {}, ()
    counts = age_seconds = None
    follow = close = lambda self: None

    def __init__(self):
        self.items = {}

    @property
    def current(self):
        return self

    def cost(self, request):
        return 1

    def check(self, item):
        if item.title == "odd":
            raise InvalidRequestError("title must not be odd")

    def upsert(self, items):
        self.items |= {item.item_id: item for item in items}

    def delete(self, item_ids):
        for item_id in item_ids:
            if self.items.pop(item_id, None) is None:
                raise UnknownItemError(item_id)

    def find(self, item_id):
        item = self.items.get(item_id)
        return item and KnownItem(item=item, changed=True)


@pytest.fixture
def shop():
    return Shop()


@pytest.fixture
def run(start, shop):
    running = start(lambda: shop)
    running.loaded.result(10)

    def run(command, *arguments):
        main([command, *map(str, arguments), "--target", running.address])

    with RecommenderClient(running.address) as client:
        client.is_ready()
    return run


def test_a_parquet_file_is_upserted(run, shop, tmp_path):
    path = tmp_path / "items.parquet"
    table = {
        "item_id": [f"b{n}" for n in range(450)],
        "title": ["Red mug"] * 450,
        "brand": ["Acme"] * 450,
        "price": [float(n) + 0.5 for n in range(450)],
    }
    pl.DataFrame(table).write_parquet(path)

    run("upsert", path)

    assert len(shop.items) == 450
    item = shop.items["b449"]
    assert (item.title, item.texts, item.attributes) == (
        "Red mug",
        {"brand": "Acme"},
        {"price": 449.5},
    )


def test_items_that_the_server_rejects_are_listed_and_the_others_upserted(
    run, shop, tmp_path, capsys
):
    path = tmp_path / "items.jsonl"
    rows = [{"item_id": f"b{n}", "title": "odd" if n in (3, 250) else "x"} for n in range(300)]
    path.write_text("\n".join(map(json.dumps, rows)))

    with pytest.raises(SystemExit) as stop:
        run("upsert", path)

    assert stop.value.code == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert errors == [
        "error: item 'b3': title must not be odd",
        "error: item 'b250': title must not be odd",
    ]
    assert len(shop.items) == 298


def test_lines_that_break_a_rule_are_named_and_nothing_is_sent(run, shop, tmp_path, capsys):
    path = tmp_path / "items.jsonl"
    rows = [{"item_id": f"b{n}", "title": "x"} for n in range(300)]
    rows[3]["title"] = "<p> </p>"
    rows[250]["item_id"] = "b1"
    rows[251]["item_id"] = "b" * 257
    rows[252]["texts"] = {"brand": 7}
    path.write_text("\n".join(map(json.dumps, rows)))

    with pytest.raises(SystemExit) as stop:
        run("upsert", path)

    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert "4 lines are no item, nothing was sent" in error
    assert "line 4: title of 'b3' must not be empty" in error
    assert "line 251: item_id must come once, got 'b1' as in line 2" in error
    assert "line 252: item_id must have 1 to 256 characters" in error
    assert "line 253: texts of 'b252' must be strings" in error
    assert not shop.items


@pytest.mark.parametrize("form", ["csv", "csv.gz", "jsonl", "jsonl.zst", "parts"])
def test_a_table_of_items_is_upserted_in_every_form(run, shop, tmp_path, form):
    table = pl.DataFrame(
        {
            "sku": ["0012", "12"],
            "title": ["<b>Red</b> mug", "Tom &amp; Jerry"],
            "brand": ["Acme", None],
            "price": ["€ 9.50", "€ 1.00"],
        }
    )
    path = tmp_path / f"items.{form}"
    if form == "csv":
        table.write_csv(path, separator=";")
    elif form == "csv.gz":
        path.write_bytes(gzip.compress(table.write_csv().encode()))
    elif form == "jsonl":
        table.write_ndjson(path)
    elif form == "jsonl.zst":
        table.lazy().sink_ndjson(path, compression="zstd")
    else:
        path.mkdir()
        table.head(1).write_parquet(path / "0.parquet")
        table.tail(1).write_parquet(path / "1.parquet")

    run("upsert", path, "--columns", "{sku: item_id}")

    assert shop.items == {
        "0012": Item(
            item_id="0012", title="Red mug", texts={"brand": "Acme"}, attributes={"price": 9.5}
        ),
        "12": Item(item_id="12", title="Tom & Jerry", attributes={"price": 1.0}),
    }


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_one_row_of_a_duplicate_id_is_upserted_if_told_which(run, shop, tmp_path, form):
    table = pl.DataFrame({"item_id": ["a", "a"], "title": ["old", "new"]})
    path = tmp_path / f"items.{form}"
    table.write_csv(path) if form == "csv" else table.write_ndjson(path)

    with pytest.raises(SystemExit):
        run("upsert", path)
    run("upsert", path, "--duplicates", "last")

    assert [item.title for item in shop.items.values()] == ["new"]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("items.txt", "item_id,title", "the name must end with .parquet, .csv or .jsonl"),
        ("items.csv", "item_id,name\n1,a\n", "column 'title' must exist"),
        ("items.jsonl", '{"item_id": "a", "title": "x"}\n{"item_id": "b"}', "line 2: title must"),
        ("items.jsonl", "no, json", "got csv; name it items.csv"),
        ("items.jsonl", '{"item_id"', "line 1: must be a JSON object"),
        ("items.parquet", "no table", "must be a readable parquet file"),
    ],
)
def test_a_file_without_items_is_refused(tmp_path, capsys, name, content, expected):
    (tmp_path / name).write_text(content)

    with pytest.raises(SystemExit) as stop:
        main(["upsert", str(tmp_path / name), "--target", "127.0.0.1:1"])

    assert stop.value.code == 2
    assert expected in capsys.readouterr().err


def test_items_are_deleted_and_unknown_ids_are_listed(run, shop, tmp_path, capsys):
    path = tmp_path / "items.jsonl"
    path.write_text("\n".join(json.dumps({"item_id": i, "title": "x"}) for i in "abc"))
    run("upsert", path)

    run("delete", "a", "nope", "c")

    assert list(shop.items) == ["b"]
    assert "unknown item: nope" in capsys.readouterr().err


def test_a_command_without_a_server_ends_with_status_1(tmp_path, capsys):
    path = tmp_path / "items.jsonl"
    path.write_text(json.dumps({"item_id": "a", "title": "x"}))

    for command in (["upsert", str(path)], ["delete", "a"]):
        with pytest.raises(SystemExit) as stop:
            main([*command, "--target", "127.0.0.1:1", "--timeout", "0.3"])
        assert stop.value.code == 1
        assert "127.0.0.1:1 answered" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["upsert", "delete"])
def test_help_explains_every_option(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])

    assert "item ids" in (text := capsys.readouterr().out) or "`.jsonl`" in text

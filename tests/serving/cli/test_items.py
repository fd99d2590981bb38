import json

import polars as pl
import pytest

from serving.__main__ import main
from serving.api.errors import UnknownItemError
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.item import KnownItem
from shortlist_client.client import RecommenderClient


class Shop:
    """An engine that keeps what it is told to, but for items without a title."""

    versions, version_token, cache_lookups, actions = {"data": "d1"}, 0, {}, ()
    counts = None

    def __init__(self):
        self.items = {}

    @property
    def current(self):
        return self

    def cost(self, ask):
        return 1

    def check(self, item):
        if not item.title:
            raise InvalidRequestError("title must not be empty")

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


def test_a_table_of_items_is_upserted(run, shop, tmp_path):
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


def test_rows_that_are_rejected_are_listed_and_the_others_taken(run, shop, tmp_path, capsys):
    path = tmp_path / "items.jsonl"
    rows = [{"item_id": f"b{n}", "title": "" if n in (3, 250) else "x"} for n in range(300)]
    path.write_text("\n".join(map(json.dumps, rows)))

    with pytest.raises(SystemExit) as stop:
        run("upsert", path)

    assert stop.value.code == 1
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert told == [
        "error: row 4, item 'b3': title must not be empty",
        "error: row 251, item 'b250': title must not be empty",
    ]
    assert len(shop.items) == 298


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("items.csv", "item_id,title", "file must be .parquet or .jsonl, got"),
        ("items.jsonl", '{"item_id": "a", "title": "x"}\n{"item_id": "b"}', "line 2 must be"),
        ("items.jsonl", "no json", "line 1 must be a JSON object of an item"),
        ("items.parquet", "no table", "must be a Parquet file"),
    ],
)
def test_a_file_of_something_else_is_refused_whole(tmp_path, capsys, name, content, told):
    (tmp_path / name).write_text(content)

    with pytest.raises(SystemExit) as stop:
        main(["upsert", str(tmp_path / name), "--target", "127.0.0.1:1"])

    assert stop.value.code == 2
    assert told in capsys.readouterr().err


def test_items_are_deleted_and_what_was_not_there_is_named(run, shop, tmp_path, capsys):
    path = tmp_path / "items.jsonl"
    path.write_text("\n".join(json.dumps({"item_id": i, "title": "x"}) for i in "abc"))
    run("upsert", path)

    run("delete", "a", "nope", "c")

    assert list(shop.items) == ["b"]
    assert "not there: nope" in capsys.readouterr().err


def test_where_no_server_answers_the_command_says_so(tmp_path, capsys):
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

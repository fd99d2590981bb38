import json

import polars as pl
import pytest

from serving.__main__ import main
from serving.api.errors import UnknownItemError
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.item import KnownItem
from shortlist_client.client import RecommenderClient


class Shop:
    """An engine that stores items in a dictionary and refuses items without a title."""

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


def test_rejected_rows_are_listed_and_the_others_upserted(run, shop, tmp_path, capsys):
    path = tmp_path / "items.jsonl"
    rows = [{"item_id": f"b{n}", "title": "" if n in (3, 250) else "x"} for n in range(300)]
    path.write_text("\n".join(map(json.dumps, rows)))

    with pytest.raises(SystemExit) as stop:
        run("upsert", path)

    assert stop.value.code == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert errors == [
        "error: row 4, item 'b3': title must not be empty",
        "error: row 251, item 'b250': title must not be empty",
    ]
    assert len(shop.items) == 298


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("items.csv", "item_id,title", "file must be .parquet or .jsonl, got"),
        ("items.jsonl", '{"item_id": "a", "title": "x"}\n{"item_id": "b"}', "line 2 must be"),
        ("items.jsonl", "no json", "line 1 must be a JSON object of an item"),
        ("items.parquet", "no table", "must be a Parquet file"),
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

import gzip
import io
import json
import logging
import time

import polars as pl
import pytest

from serving.__main__ import main
from serving.cli.ask import ask_parser
from serving.cli.privacy import erase_parser
from serving.server.users.events_config import EventsConfig
from shortlist_client.api.event import Event


@pytest.fixture
def record(start, fake, store):
    """Runs `record` against a server with the store."""
    server = start(lambda: fake, parts={"store": store, "events": EventsConfig()})
    server.loaded.result(10)

    def run(*arguments):
        main(["record", *map(str, arguments), "--target", server.address])

    return run


def rows(count):
    return [
        {"user_id": f"u{n}", "item_id": "i", "action": "view", "time": 1_700_000_000 + n}
        for n in range(count)
    ]


def lines(rows):
    return "\n".join(map(json.dumps, rows))


def test_lines_of_standard_input_are_recorded(record, store, monkeypatch):
    row = {"event_id": "a", "user_id": "u", "item_id": "i", "action": "view", "time": 5}
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(row)))

    record()

    assert list(store.scan()) == [Event(**row)]


def test_a_line_that_breaks_a_rule_is_named_and_nothing_is_sent(record, store, tmp_path, capsys):
    given = rows(600)
    given[450]["user_id"] = 450
    given[500]["item_id"] = " "
    given[501]["user_id"] = None
    del given[502]["action"]
    given[503]["colour"] = "red"
    path = tmp_path / "events.jsonl"
    path.write_text(lines(given))

    with pytest.raises(SystemExit) as stop:
        record(path)

    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert "5 lines are no event, nothing was sent" in error
    assert "line 451: user_id must be a string, got 450" in error
    assert "line 501: item_id must not be empty" in error
    assert "line 502: user_id must be a string, got None" in error
    assert "line 503: action must exist" in error
    assert "line 504: fields must be among user_id, " in error
    assert store.count() == 0


def test_a_file_that_is_recorded_again_after_a_mend_counts_once(record, store, tmp_path, caplog):
    path = tmp_path / "events.jsonl"
    path.write_text(lines(rows(5)))
    caplog.set_level(logging.INFO)
    record(path)
    path.write_text(lines([*rows(3), {**rows(4)[3], "action": "purchase"}, *rows(5)[4:]]))

    record(path)

    assert store.count() == 6
    assert "1 events recorded, 4 were known" in caplog.text


def test_one_table_of_events_counts_once_in_every_form(record, store, tmp_path):
    table = pl.DataFrame(rows(4))
    (tmp_path / "events.jsonl").write_text(lines(rows(4)))
    table.write_csv(tmp_path / "events.csv", separator=";")
    (tmp_path / "events.csv.gz").write_bytes(gzip.compress(table.write_csv().encode()))
    table.lazy().sink_ndjson(tmp_path / "events.jsonl.zst", compression="zstd")

    for name in ("events.jsonl", "events.csv", "events.csv.gz", "events.jsonl.zst"):
        record(tmp_path / name)

    assert store.count() == 4


def test_names_of_a_file_are_mapped(record, store, tmp_path):
    (tmp_path / "log.csv").write_text("uid,sku,event,ts,position\nnull,0012,view,1700000000,\n")

    record(
        tmp_path / "log.csv",
        "--columns",
        "{uid: user_id, sku: item_id, event: action, ts: time}",
    )

    (event,) = store.scan()
    assert (event.user_id, event.item_id, event.position) == ("null", "0012", None)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", "user_id,item_id,action,time\nu,i,view,soon\n", "line 2: time must be a whole"),
        ("a.csv", "user_id,item_id,action,time\n\n,i,view,5\n", "line 3: user_id must exist"),
        ("a.csv", "user_id,item_id,action\nu,i,view\n", "line 2: time must exist in a file"),
        ("a.jsonl", '\n{"user_id": "u"', "line 2: must be a JSON object"),
        ("a.jsonl", '{"user_id": "u"}\n[1]', "line 2: must be a JSON object, got list"),
        ("a.csv", '{"user_id": "u"}', "got jsonl; name it a.jsonl"),
        ("a.parquet", "", "file of events must be .jsonl or .csv"),
    ],
)
def test_a_file_without_events_is_refused_by_line(tmp_path, capsys, name, content, expected):
    (tmp_path / name).write_text(content)

    with pytest.raises(SystemExit) as stop:
        main(["record", str(tmp_path / name), "--target", "127.0.0.1:1"])

    assert stop.value.code == 2
    assert expected in capsys.readouterr().err


def test_an_event_without_time_happens_now_and_counts_each_time(record, store, monkeypatch):
    row = '{"user_id": "u", "item_id": "i", "action": "view"}'
    for _ in range(2):
        monkeypatch.setattr("sys.stdin", io.StringIO(row))
        record()

    assert store.count() == 2


def test_a_line_that_is_not_an_event_is_refused_by_number(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO('{"user": "u"}\n'))

    with pytest.raises(SystemExit) as caught:
        main(["record", "--target", "127.0.0.1:1"])

    assert caught.value.code == 2
    assert "line 1: fields must be among user_id" in capsys.readouterr().err


@pytest.mark.parametrize("user", ["null", "None", "12", "true", "{}"])
def test_a_user_may_have_any_name(user):
    assert ask_parser().parse_args(["--user_id", user]).user_id == user
    assert ask_parser().parse_args([]).user_id is None
    assert erase_parser().parse_args(["--user", user, "--artifacts", "x"]).user == user


@pytest.mark.parametrize(
    ("options", "written"),
    [([], ["purchase", "buy"]), (["--events.history", "[click]"], ["click"])],
)
def test_events_that_belong_to_histories_are_exported(root, store, options, written):
    names = ["impression", "click", "purchase", "buy"]
    store.append([Event(user_id="u", item_id="i", action=name) for name in names])
    output = root / "out.parquet"

    main(["export-events", "--artifacts", str(root), "--output", str(output), *options])

    assert pl.read_parquet(output)["action"].to_list() == written


def test_old_events_are_removed(root, store, caplog):
    now, day = time.time(), 86_400
    times = {"old": now - 31 * day, "edge": now - 29 * day, "new": now}
    store.append(
        [
            Event(event_id=name, user_id="u", item_id="i", action="view", time=int(at))
            for name, at in times.items()
        ]
    )

    main(["prune-events", "--artifacts", str(root), "--days", "30"])

    assert [event.event_id for event in store.scan()] == ["edge", "new"]


@pytest.mark.parametrize("days", ["0", "-1"])
def test_invalid_days_remove_nothing(root, store, days, capsys):
    store.append([Event(event_id="a", user_id="u", item_id="i", action="view", time=1)])

    with pytest.raises(SystemExit) as stop:
        main(["prune-events", "--artifacts", str(root), "--days", days])

    assert stop.value.code == 2
    assert "days must be positive" in capsys.readouterr().err
    assert store.count() == 1


def test_a_server_with_keep_days_removes_old_events(start, fake, store):
    old = Event(event_id="old", user_id="u", item_id="i", action="view", time=1)
    new = Event(event_id="new", user_id="u", item_id="i", action="view", time=int(time.time()))
    store.append([old, new])

    start(lambda: fake, parts={"store": store, "events": EventsConfig(keep_days=1)})

    end = time.monotonic() + 10
    while store.count() > 1 and time.monotonic() < end:
        time.sleep(0.01)
    assert [event.event_id for event in store.scan()] == ["new"]


def test_a_server_without_keep_days_removes_no_events(start, fake, store):
    store.append([Event(event_id="old", user_id="u", item_id="i", action="view", time=1)])

    start(lambda: fake, parts={"store": store, "events": EventsConfig()}).loaded.result(10)
    time.sleep(0.1)

    assert store.count() == 1


@pytest.mark.parametrize("days", [0, -1, float("inf"), float("nan")])
def test_invalid_keep_days_are_refused(days):
    with pytest.raises(ValueError, match="keep_days must be positive"):
        EventsConfig(keep_days=days)

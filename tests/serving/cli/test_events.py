import io
import json
import time

import polars as pl
import pytest

from serving.__main__ import main
from serving.server.users.events_config import EventsConfig
from shortlist_client.api.event import Event


def test_lines_are_recorded_and_rejected_ones_are_listed(start, fake, store, monkeypatch, capsys):
    server = start(lambda: fake, parts={"store": store, "events": EventsConfig()})
    server.loaded.result(10)
    rows = [{"event_id": "a", "user_id": "u", "item_id": "i", "action": "view", "time": 5}]
    rows += [{"user_id": "u", "item_id": "", "action": "view"}]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(map(json.dumps, rows))))

    with pytest.raises(SystemExit) as caught:
        main(["record", "--target", server.address])

    assert caught.value.code == 1
    assert "error: line 2: item_id must not be empty" in capsys.readouterr().err
    expected = Event(event_id="a", user_id="u", item_id="i", action="view", time=5)
    assert list(store.scan()) == [expected]


def test_a_line_that_is_not_an_event_is_refused_by_number(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO('{"user": "u"}\n'))

    with pytest.raises(SystemExit) as caught:
        main(["record", "--target", "127.0.0.1:1"])

    assert caught.value.code == 2
    assert "error: line 1 must be a JSON object of an event" in capsys.readouterr().err


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

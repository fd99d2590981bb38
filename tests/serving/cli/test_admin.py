from datetime import UTC, datetime

import pytest
from rich.console import Console

from serving.__main__ import main
from serving.cli.admin import COMMANDS
from serving.cli.tables.operations import releases_table, statistics_table
from serving.server.metrics import Metrics
from shortlist_client.api.operations import Counts, MethodStatistics, ReleaseFacts, Statistics


def printed(table):
    console = Console(width=200, file=None)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def line_of(text, word):
    (line,) = (line for line in text.splitlines() if word in line)
    return line


def test_the_table_of_releases_marks_the_live_and_serving_one():
    whole = ReleaseFacts(
        release_id="r1",
        published=datetime(2026, 11, 25, 2, 53, 1, tzinfo=UTC),
        items=1234,
        recall=0.98765,
        bytes=5_600_000,
        replaces=None,
        live=True,
        serving=True,
        damaged=False,
    )
    nothing = dict.fromkeys(("published", "items", "recall", "bytes", "replaces"))
    broken = ReleaseFacts(release_id="r0", live=False, serving=False, damaged=True, **nothing)

    text = printed(releases_table([whole, broken], title="shop:1"))

    for cell in ("live, serving", "2026-11-25 02:53:01", "1,234", "0.9877", "5.6"):
        assert cell in line_of(text, "r1")
    assert "damaged" in line_of(text, "r0")
    assert "live" not in line_of(text, "r0")


def test_the_table_of_statistics_has_facts_and_methods():
    statistics = Statistics(
        versions={"release": "r1"},
        uptime_seconds=61.4,
        counts=Counts(items=900, upserted=7, deleted=3, journal_bytes=2_100_000),
        events=None,
        waiting=5,
        memory_bytes=700_000_000,
        methods={
            "S/Ask": MethodStatistics(
                calls={"OK": 1500, "INTERNAL": 2}, p50_milliseconds=1.25, p99_milliseconds=30
            )
        },
    )

    text = printed(statistics_table(statistics, title="shop:1"))

    assert "900, 7 of them upserted; 3 deleted; journal 2.1 MB" in text
    assert "unknown" in line_of(text, "events")
    for cell in ("OK 1,500, INTERNAL 2", "1.2", "30.0"):
        assert cell in line_of(text, "S/Ask")


def test_percentiles_are_of_the_last_1000_calls():
    metrics = Metrics()
    for _ in range(500):
        metrics.count_call("m", "OK", "a", 60.0)
    for n in range(1000):
        metrics.count_call("m", "OK", "b", (n + 1) / 1e3)
    metrics.count_call("once", "INTERNAL", "", 0.002)

    methods = metrics.methods()

    assert methods["m"].calls == {"OK": 1500}
    assert (methods["m"].p50_milliseconds, methods["m"].p99_milliseconds) == (500, 990)
    assert (methods["once"].p50_milliseconds, methods["once"].p99_milliseconds) == (2, 2)


def test_a_refused_command_ends_with_status_1(start, fake, capsys):
    running = start(lambda: fake)
    with pytest.raises(SystemExit) as stop:
        main(["admin", "rollback", "--target", running.address])

    assert stop.value.code == 1
    assert "FAILED_PRECONDITION: releases must be published" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_explains_every_command(command, capsys):
    with pytest.raises(SystemExit):
        main(["admin", command, "--help"])

    assert "host:port of the server" in capsys.readouterr().out

"""`python -m serving admin …`: what operators ask of a server that runs elsewhere."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc
import jsonargparse
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from serving.cli.connection import TOKEN, add_server, connected
from shortlist_client.admin import LOADING_SECONDS
from shortlist_client.api.operations import ReleaseFacts, Statistics
from shortlist_client.client import RecommenderClient


def add_admin(commands: Any) -> None:
    """Add `admin` to the subcommands of a parser, and its own below it."""
    parser = jsonargparse.ArgumentParser(
        description="Look at the releases of a server that runs, activate them, and ask what it "
        f"does. The environment's {TOKEN} is sent; where the server has a file of clients, it "
        "must have the role `admin`."
    )
    commands.add_subcommand("admin", parser, help="releases and statistics of a server")
    below = parser.add_subcommands(dest="command")
    for name, (about, loads, _) in COMMANDS.items():
        added = jsonargparse.ArgumentParser(description=f"{about[0].upper()}{about[1:]}.")
        add_server(added, timeout=LOADING_SECONDS if loads else 10.0)
        if name in ("load", "activate"):
            added.add_argument("--release", required=True, help="its id, as `admin releases` has")
        below.add_subcommand(name, added, help=about)


def run(options: jsonargparse.Namespace) -> None:
    """Run one of them and print what came of it.

    Raises:
        SystemExit: the server is out of reach or answered with an error; status 1.
    """
    name = options.command
    chosen = options[name]
    try:
        with connected(chosen) as client:
            shown = COMMANDS[name][2](client, chosen)
    except grpc.RpcError as error:
        sys.stderr.write(f"error: {chosen.target} answered {error.code().name}: ")
        sys.stderr.write(f"{error.details()}\n")
        raise SystemExit(1) from error
    Console().print(shown)


def _releases(client: RecommenderClient, options: jsonargparse.Namespace) -> RenderableType:
    return releases_table(client.admin.releases(), title=options.target)


def _load(client: RecommenderClient, options: jsonargparse.Namespace) -> RenderableType:
    loaded = client.admin.load(options.release, timeout=options.timeout)
    return releases_table([loaded], title=f"{options.target} can load")


def _activate(client: RecommenderClient, options: jsonargparse.Namespace) -> RenderableType:
    active = client.admin.activate(options.release, timeout=options.timeout)
    return releases_table([active], title=f"{options.target} serves")


def _roll_back(client: RecommenderClient, options: jsonargparse.Namespace) -> RenderableType:
    active = client.admin.roll_back(timeout=options.timeout)
    return releases_table([active], title=f"{options.target} serves")


def _statistics(client: RecommenderClient, options: jsonargparse.Namespace) -> RenderableType:
    return statistics_table(client.admin.statistics(), title=options.target)


Run = Callable[[RecommenderClient, jsonargparse.Namespace], RenderableType]
COMMANDS: Mapping[str, tuple[str, bool, Run]] = {
    "releases": ("list the releases that the server's folder keeps", False, _releases),
    "load": ("see that the server can load a release; changes nothing", True, _load),
    "activate": ("make a release live; returns when the server answers from it", True, _activate),
    "rollback": ("activate the release that the live one replaced", True, _roll_back),
    "statistics": (
        "what the server serves, and what it did since it was started",
        False,
        _statistics,
    ),
}
"""One line of help of every command, whether it loads a release, and what it does."""


def releases_table(releases: Sequence[ReleaseFacts], *, title: str) -> RenderableType:
    """When each release was published, what it holds, which is live and which serves."""
    table = Table("", "release", "published, UTC", "items", "recall@100", "MB")
    table.columns[1].no_wrap = True
    for column in table.columns[3:]:
        column.justify = "right"
    for release in releases:
        marks = ["live"] * release.live + ["serving"] * release.serving
        cells = ["damaged"] if release.damaged else _about(release)
        table.add_row(", ".join(marks), release.release_id, *cells)
    return Group(Text(title, style="bold"), table)


def statistics_table(statistics: Statistics, *, title: str) -> RenderableType:
    """Facts one a row, then every method with its statuses and times."""
    counts = statistics.counts
    events = "unknown" if statistics.events is None else f"{statistics.events:,}"
    facts = {
        "release": statistics.versions.get("release", "stages as they were built"),
        "up": f"{statistics.uptime_seconds:,.0f} s",
        "items": f"{counts.items:,}, of these {counts.upserted:,} upserted; {counts.deleted:,} "
        f"deleted; journal {counts.journal_bytes / 1e6:,.1f} MB",
        "events": events,
        "waiting": str(statistics.waiting),
        "memory": f"{statistics.memory_bytes / 1e6:,.0f} MB",
    }
    about = Table(show_header=False)
    for name, value in facts.items():
        about.add_row(name, value)
    methods = Table("method", "calls", "p50 ms", "p99 ms")
    for column in methods.columns[2:]:
        column.justify = "right"
    for name, of_method in statistics.methods.items():
        calls = ", ".join(f"{status} {count:,}" for status, count in of_method.calls.items())
        times = of_method.p50_milliseconds, of_method.p99_milliseconds
        methods.add_row(name, calls, *(f"{time:.1f}" for time in times))
    return Group(Text(title, style="bold"), about, methods)


def _about(release: ReleaseFacts) -> list[str]:
    assert release.published is not None
    assert release.bytes is not None
    when = f"{release.published:%F %T}"
    return [when, f"{release.items:,}", f"{release.recall:.4f}", f"{release.bytes / 1e6:,.1f}"]

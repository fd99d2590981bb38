"""`python -m serving admin …`: releases and statistics of a running server."""

from collections.abc import Callable, Mapping

import jsonargparse
from rich.console import Console, RenderableType

from lineage.options import OptionParser
from serving.cli.connection import TOKEN, add_server, connected
from serving.cli.tables.operations import releases_table, statistics_table
from shortlist_client import RecommenderClient
from shortlist_client.admin import LOADING_SECONDS


def parser() -> OptionParser:
    """Parser of `admin` without its subcommands."""
    return OptionParser(
        description="List and activate the releases of a running server, and show its statistics. "
        f"Sends the environment's {TOKEN}; if the server has a file of clients, the token needs "
        "the role `admin`."
    )


def add_subcommands(parser: OptionParser) -> None:
    """Add the subcommands; jsonargparse requires that `admin` is itself added before."""
    subcommands = parser.add_subcommands(dest="command")
    for name, (about, loads, _) in COMMANDS.items():
        added = OptionParser(description=f"{about[0].upper()}{about[1:]}.")
        add_server(added, timeout=LOADING_SECONDS if loads else 10.0)
        if name in ("load", "activate"):
            added.add_argument("--release", required=True, help="id, as `admin releases` lists it")
        subcommands.add_subcommand(name, added, help=about)


def run(options: jsonargparse.Namespace) -> None:
    """Run a subcommand and print its result.

    Raises:
        SystemExit: the server is out of reach or returned an error; status 1.
    """
    chosen = options[options.command]
    with connected(chosen) as client:
        Console().print(COMMANDS[options.command][2](client, chosen))


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
    "releases": ("list the releases of the server's folder", False, _releases),
    "load": ("check that the server can load a release; changes nothing", True, _load),
    "activate": ("make a release live; returns when the server answers from it", True, _activate),
    "rollback": ("activate the release that the live one replaced", True, _roll_back),
    "statistics": (
        "show what the server serves, and its counts since it started",
        False,
        _statistics,
    ),
}
"""Help line of every subcommand, whether it loads a release, and its function."""

"""`python -m serving`: publish a release, serve it over gRPC, roll back, ask a server."""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import grpc
import jsonargparse
from rich.console import Console

from dataset.arrays import load_dataset
from events.store import open_store
from lineage.cli import configure_logging, reported_errors
from lineage.releases import live_release
from serving import admin_operations, events_operations, items_operations, operations
from serving.catalogue import Catalogue
from serving.client import RecommenderClient, Response
from serving.connecting import TOKEN, add_server, connected
from serving.histories import EventsConfig
from serving.query import Diversity, Limits, Recommender
from serving.reloading import Reloader
from serving.server import ServerConfig, serve
from serving.table import answer_table, history_table
from serving.wire import read_filters

logger = logging.getLogger("serving")

FAILED = 1


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """How a release is served."""

    server: ServerConfig = field(default_factory=ServerConfig)
    """Where the server listens and what it puts up with."""
    limits: Limits = field(default_factory=Limits)
    """What one query may ask for."""
    events: EventsConfig = field(default_factory=EventsConfig)
    """Where events are kept, and which of them tell of a user."""
    ranked: int | None = None
    """Head of the shortlist that the ranker reads; by default as many as it was validated with."""
    logs: Literal["text", "json"] = "text"
    """`json` writes an object a line, and a line for every call."""


LoadRelease = Callable[[Path, ServeConfig], Recommender]


def load_engine(folder: Path, config: ServeConfig) -> Recommender:
    """Load the engine of a release.

    Raises:
        ArtifactError: the release is incomplete, corrupt or mixed.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # FAISS and torch each bring an OpenMP
    from serving.engine import EngineConfig
    from serving.live_engine import LiveEngine

    return LiveEngine.load(
        folder, EngineConfig(ranked=config.ranked, limits=config.limits, cache=config.server.cache)
    )


def main(arguments: Sequence[str] | None = None, *, load: LoadRelease = load_engine) -> None:
    """Run the subcommand that the command line names."""
    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = jsonargparse.ArgumentParser(prog="python -m serving", description=__doc__)
    commands = parser.add_subcommands(dest="command")
    commands.add_subcommand("serve", _serve_parser(), help="serve a release over gRPC")
    commands.add_subcommand("ask", _ask_parser(), help="ask a server and print its answer")
    commands.add_subcommand("probe", _probe_parser(), help="fail unless a server is ready")
    commands.add_subcommand(
        "record", events_operations.record_parser(), help="record what users did"
    )
    commands.add_subcommand(
        "export-events", events_operations.export_parser(), help="events as interactions"
    )
    commands.add_subcommand(
        "prune-events", events_operations.prune_parser(), help="remove events that are too old"
    )
    commands.add_subcommand(
        "upsert", items_operations.upsert_parser(), help="add or change items of a server"
    )
    commands.add_subcommand(
        "delete", items_operations.delete_parser(), help="take items out of a server's answers"
    )
    admin_operations.add_admin(commands)
    for name, (parser_of, about) in operations.COMMANDS.items():
        commands.add_subcommand(name, parser_of(), help=about)
    options = parser.parse_args(arguments)
    configure_logging(as_json=options.command == "serve" and options.serve.logs == "json")
    with reported_errors():
        if options.command == "ask":
            ask(options.ask)
        elif options.command == "probe":
            probe(options.probe)
        elif options.command == "serve":
            _serve(parser.instantiate(options).serve, load)
        elif options.command == "prune-events":
            events_operations.prune(parser.instantiate(options)["prune-events"])
        elif options.command == "upsert":
            items_operations.upsert(options.upsert)
        elif options.command == "delete":
            items_operations.delete(options.delete)
        elif options.command == "admin":
            admin_operations.run(options.admin)
        elif options.command == "record":
            events_operations.record(options.record)
        elif options.command == "export-events":
            events_operations.export(parser.instantiate(options)["export-events"])
        else:
            operations.run(options.command, options[options.command])


def ask(options: jsonargparse.Namespace) -> None:
    """Ask a server and print the history, if any, and the answer.

    Raises:
        SystemExit: the server is out of reach or answered with an error; status 1.
    """
    history = [item_id for item_id in options.history.split(",") if item_id]
    try:
        with connected(options) as client:
            if options.wait:
                client.wait_until_ready(options.wait)
            response, title = _answer(client, options, history)
    except (grpc.RpcError, TimeoutError) as error:
        sys.stderr.write(f"error: {_reason(error, options.target)}\n")
        raise SystemExit(FAILED) from error
    console = Console()
    if titles := [] if options.similar else _titles(options, history):
        console.print(history_table(titles, of=_who(options)))
    console.print(answer_table(response, title=title))


def probe(options: jsonargparse.Namespace) -> None:
    """Ask a server whether it is ready.

    Raises:
        SystemExit: it is not, or is out of reach; status 1.
    """
    with connected(options) as client:
        if not client.is_ready(timeout=options.timeout):
            sys.stderr.write(f"error: {options.target} is not ready\n")
            raise SystemExit(FAILED)


def _answer(
    client: RecommenderClient, options: jsonargparse.Namespace, history: Sequence[str]
) -> tuple[Response, str]:
    filters = read_filters(options.filters)
    exclude = [item_id for item_id in options.exclude.split(",") if item_id]
    if options.similar:
        response = client.similar(
            options.similar,
            filters=filters,
            exclude=exclude,
            release=options.release,
            limit=options.limit,
        )
        return response, f"like item {options.similar}"
    response = client.recommend(
        user_id=options.user_id,
        history=history,
        search=options.search,
        filters=filters,
        exclude=exclude,
        diversity=Diversity(strength=options.strength, at_most=options.at_most),
        explain=options.explain,
        explain_texts=options.explain_texts,
        release=options.release,
        limit=options.limit,
    )
    return response, f"recommended to {_who(options)}"


def _who(options: jsonargparse.Namespace) -> str:
    return f"user {options.user_id}" if options.user_id else "the shopper"


def _titles(options: jsonargparse.Namespace, history: Sequence[str]) -> Sequence[str]:
    """Titles of the history, oldest first; its ids where there is no catalogue to look into."""
    if options.artifacts is None:
        return history
    catalogue = Catalogue(load_dataset(options.artifacts / "data"))
    if history:
        rows, _ = catalogue.rows(history)
        return [catalogue.title(row) for row in rows.tolist()]
    known = catalogue.history(options.user_id) if options.user_id else None
    return [] if known is None else [catalogue.title(row) for row in known[0].tolist()]


def _reason(error: grpc.RpcError | TimeoutError, target: str) -> str:
    if isinstance(error, TimeoutError):
        return str(error)
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        start = "python -m serving serve --releases releases/<dataset>"
        return f"no server answers at {target}; start one with `{start}`"
    return f"{target} answered {error.code().name}: {error.details()}"


def _serve(options: jsonargparse.Namespace, load: LoadRelease) -> None:
    import uvloop

    if (options.releases is None) == (options.artifacts is None):
        raise ValueError("serve must be given either --releases or --artifacts, got both or none")
    config = ServeConfig(
        server=options.server,
        limits=options.limits,
        events=options.events,
        ranked=options.ranked,
        logs=options.logs,
    )
    folder = options.artifacts or live_release(options.releases)
    store = open_store(config.events.address(folder))
    logger.info("loading %s", folder)
    reloader = None
    if options.releases is not None:
        reloader = Reloader(folder, lambda live: load(live, config))
    loading = partial(load, folder, config)
    uvloop.run(serve(loading, config.server, store=store, events=config.events, reloader=reloader))


def _serve_parser() -> jsonargparse.ArgumentParser:
    parser = jsonargparse.ArgumentParser(
        description="Serve a release over gRPC until SIGTERM or SIGINT, then finish what is in "
        "flight. Health is NOT_SERVING until the release is loaded and warm, and while stopping. "
        "With --releases, what is published or rolled back to meanwhile takes the release's place "
        "without a request being lost; SIGHUP tries again what could not be loaded."
    )
    parser.add_argument("--config", action="config", help="YAML file with the options below")
    parser.add_argument(
        "--releases", type=Path | None, help=f"{operations.RELEASES}; serves the live"
    )
    parser.add_argument(
        "--artifacts", type=Path | None, help="stages as they were built: `artifacts/ml-100k`"
    )
    parser.add_class_arguments(ServeConfig)
    return parser


def _ask_parser() -> jsonargparse.ArgumentParser:
    parser = jsonargparse.ArgumentParser(
        description="Ask a server what a user or a history should see next, what fits a search, "
        "or what is like an item, and print the answer with the scores of all stages. With none of "
        f"them: the best sellers. The environment's {TOKEN} is sent as the caller's token."
    )
    add_server(parser, timeout=10.0)
    parser.add_argument("--user_id", type=str | None, help="a user that the release knows")
    parser.add_argument("--history", default="", help="item ids, oldest first: `50,181,172`")
    parser.add_argument("--search", default="", help="what the shopper is looking for, in words")
    parser.add_argument("--similar", default="", help="an item id; asks for its neighbours")
    parser.add_argument(
        "--filters",
        default="{}",
        help="what items must be like, as JSON of the contract's `Filters`: "
        '`{"must": [{"attribute": "price", "range": {"lte": {"number": 20}}}]}`',
    )
    parser.add_argument("--exclude", default="", help="item ids to leave out: `7,11`")
    parser.add_argument(
        "--strength", type=float, default=0.0, help="what nearness to better items costs, 0 to 1"
    )
    parser.add_argument(
        "--at_most",
        type=dict[str, int],
        default={},
        help='items that may share a value, by keyword attribute: `{"brand": 2}`',
    )
    parser.add_argument(
        "--explain", action="store_true", help="say which items of the history each is there for"
    )
    parser.add_argument(
        "--explain_texts",
        action="store_true",
        help="say which fields of its own text each item is there for",
    )
    parser.add_argument("--release", default="", help="id of the release that must answer")
    parser.add_argument("--limit", type=int, default=10, help="items wanted")
    parser.add_argument(
        "--wait", type=float, default=0.0, help="how long to wait for the server to be ready, s"
    )
    parser.add_argument(
        "--artifacts", type=Path | None, help="folder of the release: shows the history's titles"
    )
    return parser


def _probe_parser() -> jsonargparse.ArgumentParser:
    parser = jsonargparse.ArgumentParser(
        description="Ask a server whether it is ready; the status is 0 if it is, else 1."
    )
    add_server(parser, timeout=3.0)
    return parser


if __name__ == "__main__":
    main()

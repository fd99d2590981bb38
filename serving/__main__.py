"""`python -m serving`: publish, serve and roll back releases, call a server, manage its events."""

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jsonargparse

from lineage.cli import configure_logging, reported_errors
from lineage.options import OptionParser
from serving.cli import (
    admin,
    answer,
    ask,
    classify,
    events,
    exposures,
    items,
    privacy,
    profile,
    releases,
    serve,
    tokens,
)

Command = tuple[Callable[[], OptionParser], Callable[[Any], None], str]
"""Parser, function and help line of a command."""


def commands(load: serve.LoadRelease | None) -> Mapping[str, Command]:
    """Every command, by name.

    Args:
        load: Loads the release that `serve` serves.
    """
    return {
        "serve": (serve.parser, partial(serve.run, load=load), "serve a release over gRPC"),
        "ask": (ask.ask_parser, ask.ask, "call a server and print its answer"),
        "profile": (profile.profile_parser, profile.profile, "describe a shopper"),
        "answer": (answer.answer_parser, answer.answer, "answers of customer service"),
        "classify": (classify.parser, classify.classify, "labels or numbers of texts and items"),
        "probe": (ask.probe_parser, ask.probe, "fail unless a server is ready"),
        "record": (events.record_parser, events.record, "record events"),
        "export-events": (events.export_parser, events.export, "write events as interactions"),
        "prune-events": (events.prune_parser, events.prune, "remove old events"),
        "export-exposures": (
            exposures.export_parser,
            exposures.export,
            "write what was shown as a table",
        ),
        "prune-exposures": (exposures.prune_parser, exposures.prune, "remove old exposures"),
        "export": (privacy.export_parser, privacy.export, "print what is stored of a user"),
        "erase": (privacy.erase_parser, privacy.erase, "erase a user"),
        "rotate-key": (privacy.rotate_parser, privacy.rotate, "change the key of users' names"),
        "upsert": (items.upsert_parser, items.upsert, "add or replace items of a server"),
        "delete": (items.delete_parser, items.delete, "remove items from a server's answers"),
        "admin": (admin.parser, admin.run, "releases and statistics of a server"),
        "publish": (releases.publish_parser, releases.publish, "make the built stages live"),
        "rollback": (releases.rollback_parser, releases.rollback, "make an older release live"),
        "releases": (releases.list_parser, releases.list_all, "list the releases"),
        "keygen": (releases.keygen_parser, releases.keygen, "create keys that sign releases"),
        "sign": (releases.sign_parser, releases.sign, "sign a release"),
        "token": (tokens.parser, tokens.run, "create a token for a client"),
    }


def main(arguments: Sequence[str] | None = None, *, load: serve.LoadRelease | None = None) -> None:
    """Run the command that the command line names."""
    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = OptionParser(prog="python -m serving", description=__doc__)
    table = commands(load)
    given = sys.argv[1:] if arguments is None else arguments
    subcommands = parser.add_subcommands(dest="command")
    for name, (parser_of, _, about) in table.items():
        asked = parser_of() if name in given else OptionParser()  # a parser takes long to build
        subcommands.add_subcommand(name, asked, help=about)
        if name == "admin":
            admin.add_subcommands(asked)
    options = parser.parse_args(arguments)
    chosen = options.command
    configure_logging(as_json=options[chosen].get("logs") == "json")
    _, run, _ = table[chosen]
    with reported_errors():
        run(parser.instantiate(options)[chosen])


if __name__ == "__main__":
    main()

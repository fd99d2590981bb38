"""`python -m serving`: publish a release, serve it over gRPC, roll back, ask a server."""

from collections.abc import Sequence

import jsonargparse

from lineage.cli import configure_logging, reported_errors
from serving.cli import admin, events, items, releases
from serving.cli.ask import _ask_parser, _probe_parser, ask, probe
from serving.cli.serve import LoadRelease, _serve, _serve_parser, load_engine


def main(arguments: Sequence[str] | None = None, *, load: LoadRelease = load_engine) -> None:
    """Run the subcommand that the command line names."""
    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = jsonargparse.ArgumentParser(prog="python -m serving", description=__doc__)
    commands = parser.add_subcommands(dest="command")
    commands.add_subcommand("serve", _serve_parser(), help="serve a release over gRPC")
    commands.add_subcommand("ask", _ask_parser(), help="ask a server and print its answer")
    commands.add_subcommand("probe", _probe_parser(), help="fail unless a server is ready")
    commands.add_subcommand("record", events.record_parser(), help="record what users did")
    commands.add_subcommand("export-events", events.export_parser(), help="events as interactions")
    commands.add_subcommand(
        "prune-events", events.prune_parser(), help="remove events that are too old"
    )
    commands.add_subcommand("upsert", items.upsert_parser(), help="add or change items of a server")
    commands.add_subcommand(
        "delete", items.delete_parser(), help="take items out of a server's answers"
    )
    admin.add_admin(commands)
    for name, (parser_of, about) in releases.COMMANDS.items():
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
            events.prune(parser.instantiate(options)["prune-events"])
        elif options.command == "upsert":
            items.upsert(options.upsert)
        elif options.command == "delete":
            items.delete(options.delete)
        elif options.command == "admin":
            admin.run(options.admin)
        elif options.command == "record":
            events.record(options.record)
        elif options.command == "export-events":
            events.export(parser.instantiate(options)["export-events"])
        else:
            releases.run(options.command, options[options.command])


if __name__ == "__main__":
    main()

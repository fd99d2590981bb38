"""`python -m serving profile`: interests and likely next values of a shopper."""

import jsonargparse
from rich.console import Console

from lineage.options import OptionParser
from serving.cli.connection import TOKEN, add_server, connected
from serving.cli.tables.profiles import profile_table
from shortlist_client.api.request import Shopper, Wishes


def profile(options: jsonargparse.Namespace) -> None:
    """Ask a server for a profile and print it.

    Raises:
        ValueError: neither a user nor a history is given, or both are.
        SystemExit: the server is out of reach or returned an error; status 1.
    """
    history = [item_id for item_id in options.history.split(",") if item_id]
    if bool(options.user_id) == bool(history):
        raise ValueError("one of USER and --history must be given, got both or none")
    shopper = Shopper(user_id=options.user_id or None, history=history)
    with connected(options) as client:
        profiled = client.profile(
            shopper, Wishes(release=options.release), with_embedding=options.embedding
        )
    who = f"user {options.user_id}" if options.user_id else "the shopper"
    Console().print(profile_table(profiled, title=f"profile of {who}"))


def profile_parser() -> OptionParser:
    """Options of `profile`."""
    parser = OptionParser(
        description="Describe a user or a history: interests, and which values of the items' "
        "attributes the next item will probably have. Sends the environment's "
        f"{TOKEN} as the token."
    )
    add_server(parser, timeout=10.0)
    parser.add_argument(
        "user_id", nargs="?", default="", type=str, help="a user that the release or events know"
    )
    parser.add_argument("--history", default="", help="item ids, oldest first: `50,181,172`")
    parser.add_argument(
        "--embedding", action="store_true", help="show the user tower's embedding, too"
    )
    parser.add_argument("--release", default="", help="id of the release that must answer")
    return parser

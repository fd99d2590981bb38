"""`python -m serving classify`: labels or numbers of texts and items."""

from collections.abc import Sequence

import jsonargparse
from rich.console import Console

from lineage.options import OptionParser
from serving.cli.connection import TOKEN, add_server, connected
from serving.cli.tables.predictions import predictions_table


def classify(options: jsonargparse.Namespace) -> None:
    """Ask a server for labels or numbers and print them.

    Raises:
        ValueError: neither texts nor items are given, or both are.
        SystemExit: the server is out of reach or returned an error; status 1.
    """
    item_ids = [item_id for item_id in options.item_ids.split(",") if item_id]
    if bool(options.texts) == bool(item_ids):
        got = "both" if item_ids else "none"
        raise ValueError(f"either TEXT or --item_ids must be given, got {got}")
    with connected(options) as client:
        classified = client.classify(
            texts=options.texts,
            item_ids=item_ids,
            target=options.column,
            top_k=options.top_k,
            level=options.level,
            release=options.release,
        )
    inputs: Sequence[str] = options.texts or [one.item_id for one in classified.predictions]
    Console().print(predictions_table(classified, inputs))


def parser() -> OptionParser:
    """Options of `classify`."""
    made = OptionParser(
        description="Ask a server for the most probable labels of texts or items, or for a number "
        f"of each. Sends the environment's {TOKEN} as the token."
    )
    add_server(made, timeout=10.0)
    made.add_argument("texts", nargs="*", type=str, default=[], help="texts, each in quotes")
    made.add_argument("--item_ids", default="", help="item ids instead of texts: `50,181`")
    made.add_argument(
        "--column", type=str, default="", help="column to predict; by default the first one"
    )
    made.add_argument("--top_k", type=int | None, help="labels wanted for each input; default 5")
    made.add_argument(
        "--level", type=int | None, help="level of paths, from 1 at the top; default whole paths"
    )
    made.add_argument("--release", default="", help="id of the release that must answer")
    return made

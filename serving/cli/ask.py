"""`python -m serving ask` and `probe`: query a running server."""

import sys
from collections.abc import Sequence
from pathlib import Path

import jsonargparse
from rich.console import Console

from lineage.options import OptionParser
from serving.cli.connection import FAILED, TOKEN, add_server, connected
from serving.cli.tables.answers import answer_table, history_table
from shortlist_client.api.answer import Response
from shortlist_client.api.request import Diversity, Shopper, Wishes
from shortlist_client.client import RecommenderClient
from shortlist_client.wire.filters import read_filters

OF_SHOPPERS = (
    "user_id",
    "history",
    "search",
    "strength",
    "at_most",
    "calibrated",
    "calibrated_by",
    "explain",
    "explain_texts",
    "min_probability",
)
"""Options that only recommendations honour."""


def ask(options: jsonargparse.Namespace) -> None:
    """Call a server and print the history, if any, and the answer.

    Raises:
        ValueError: the options contradict each other.
        SystemExit: the server is out of reach or returned an error; status 1.
    """
    history = [item_id for item_id in options.history.split(",") if item_id]
    with connected(options) as client:
        if options.wait:
            client.wait_until_ready(options.wait)
        response, title = _answer(client, options, history)
    console = Console()
    if titles := [] if options.similar else _titles(options, history):
        console.print(history_table(titles, of=_who(options)))
    console.print(answer_table(response, title=title))


def probe(options: jsonargparse.Namespace) -> None:
    """Check that a server is ready.

    Raises:
        SystemExit: the server is not ready or out of reach; status 1.
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
        _check_similar(options)
        wishes = Wishes(
            filters=filters, exclude=exclude, release=options.release, limit=options.limit
        )
        return client.similar(options.similar, wishes), f"like item {options.similar}"
    shopper = Shopper(user_id=options.user_id, history=history, search=options.search)
    wishes = Wishes(
        filters=filters,
        exclude=exclude,
        diversity=Diversity(
            strength=options.strength,
            at_most=options.at_most,
            calibrated=options.calibrated,
            calibrated_by=options.calibrated_by,
        ),
        explain=options.explain,
        explain_texts=options.explain_texts,
        min_probability=options.min_probability,
        release=options.release,
        limit=options.limit,
    )
    return client.recommend(shopper, wishes), f"recommended to {_who(options)}"


def _check_similar(options: jsonargparse.Namespace) -> None:
    """Refuse options that `--similar` cannot honour.

    Raises:
        ValueError: names the option.
    """
    for name in OF_SHOPPERS:
        if options[name]:
            raise ValueError(f"--{name} must be absent with --similar, got {options[name]!r}")


def _who(options: jsonargparse.Namespace) -> str:
    return f"user {options.user_id}" if options.user_id else "the shopper"


def _titles(options: jsonargparse.Namespace, history: Sequence[str]) -> Sequence[str]:
    """Titles of the history, oldest first; its item ids without a catalogue."""
    if options.artifacts is None:
        return history
    from dataset.arrays import load_dataset
    from serving.catalogue.catalogue import Catalogue

    catalogue = Catalogue.of(load_dataset(options.artifacts / "data"))
    if history:
        rows, _ = catalogue.rows(history)
        return [catalogue.title(row) for row in rows.tolist()]
    known = catalogue.history(options.user_id) if options.user_id else None
    return [] if known is None else [catalogue.title(row) for row in known.items.tolist()]


def ask_parser() -> OptionParser:
    """Options of `ask`."""
    parser = OptionParser(
        description="Ask a server for recommendations for a user, a history or a search, or for "
        "items similar to an item. Prints the answer with the scores of all stages. Without a "
        "user, history, search or item: the best sellers. Sends the environment's "
        f"{TOKEN} as the token."
    )
    add_server(parser, timeout=10.0)
    parser.add_argument("--user_id", type=str, help="a user that the release knows")
    parser.add_argument("--history", default="", help="item ids, oldest first: `50,181,172`")
    parser.add_argument("--search", default="", help="what the shopper is looking for, in words")
    parser.add_argument(
        "--similar", default="", help="an item id; asks for its neighbours, not for recommendations"
    )
    parser.add_argument(
        "--filters",
        default="{}",
        help="conditions on the items, as JSON of the contract's `Filters`: "
        '`{"must": [{"attribute": "price", "range": {"lte": {"number": 20}}}]}`',
    )
    parser.add_argument("--exclude", default="", help="item ids to leave out: `7,11`")
    parser.add_argument(
        "--strength",
        type=float,
        default=0.0,
        help="diversity: how much similarity to better-placed items counts against an item, 0 to 1",
    )
    parser.add_argument(
        "--at_most",
        type=dict[str, int],
        default={},
        help='how many items may share a value, by keyword attribute: `{"brand": 2}`',
    )
    parser.add_argument(
        "--calibrated",
        type=float,
        default=0.0,
        help="how much the shares of values should be those of the history, 0 to 1; instead of a "
        "strength",
    )
    parser.add_argument(
        "--calibrated_by",
        default="",
        help="attribute of these values: `category`; by default the first of a profile's",
    )
    parser.add_argument(
        "--explain",
        action="store_true",
        help="show for each item the items of the history that caused it",
    )
    parser.add_argument(
        "--explain_texts",
        action="store_true",
        help="show for each item the fields of its own text that caused it",
    )
    parser.add_argument(
        "--min_probability",
        type=float,
        default=0.0,
        help="leave out items that are less likely to be among the next ones, within 0 and 1",
    )
    parser.add_argument("--release", default="", help="id of the release that must answer")
    parser.add_argument("--limit", type=int, default=10, help="items wanted")
    parser.add_argument(
        "--wait", type=float, default=0.0, help="seconds to wait until the server is ready"
    )
    parser.add_argument(
        "--artifacts", type=Path | None, help="folder of the release: shows the history's titles"
    )
    return parser


def probe_parser() -> OptionParser:
    """Options of `probe`."""
    parser = OptionParser(
        description="Check whether a server is ready; the exit status is 0 if it is, else 1."
    )
    add_server(parser, timeout=3.0)
    return parser

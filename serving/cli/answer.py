"""`python -m serving answer`: answers of customer service to questions."""

import jsonargparse
from rich.console import Console

from lineage.options import OptionParser
from serving.cli.connection import TOKEN, add_server, connected
from serving.cli.tables.replies import reply_lines
from shortlist_client.api.request import Wishes


def answer(options: jsonargparse.Namespace) -> None:
    """Ask a server some questions and print what it says.

    Raises:
        SystemExit: the server is out of reach or returned an error; status 1.
    """
    wishes = Wishes(limit=options.limit, release=options.release)
    console = Console(soft_wrap=True, highlight=False)
    with connected(options) as client:
        for question in options.questions:
            console.print(reply_lines(question, client.answer(question, wishes)))


def answer_parser() -> OptionParser:
    """Options of `answer`."""
    made = OptionParser(
        description="Ask a server questions to customer service: the best entry of the FAQ with "
        "its probability, the intent, the products that a search finds, and what is said. Sends "
        f"the environment's {TOKEN} as the token."
    )
    add_server(made, timeout=10.0)
    made.add_argument("questions", nargs="+", type=str, help="questions, each in quotes")
    made.add_argument("--limit", type=int | None, help="products wanted; default 3")
    made.add_argument("--release", default="", help="id of the release that must answer")
    return made

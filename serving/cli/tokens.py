"""`python -m serving token`: creates a token for a client."""

import sys

import jsonargparse

from serving.server.access.roles import Role
from serving.server.access_control import new_token


def parser() -> jsonargparse.ArgumentParser:
    """Options of `token`."""
    parser = jsonargparse.ArgumentParser(
        description="Create a token for a client. Prints the token, once, to standard error, and "
        "its entry for the server's `tokens` file to standard output; the entry does not reveal "
        "the token. In the file, `expires: 2027-01-31` limits its lifetime and `per_second: 100` "
        "its rate."
    )
    parser.add_argument("--client", required=True, help="name of the client: `shop-backend`")
    parser.add_argument(
        "--roles",
        type=list[Role],
        default=[Role.READ],
        help="roles of the client: READ, CATALOGUE, FEEDBACK, ADMIN, such as `[READ,FEEDBACK]`",
    )
    return parser


def run(options: jsonargparse.Namespace) -> None:
    """Print a token to standard error, and its entry in the file of clients to standard output."""
    token, entry = new_token(options.client, options.roles)
    sys.stderr.write(f"{token}\n")
    sys.stdout.write(entry)

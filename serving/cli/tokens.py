"""`python -m serving token`: creates a token for a client."""

import sys

import jsonargparse

from serving.server.access_control import Role, new_token


def parser() -> jsonargparse.ArgumentParser:
    """Options of `token`."""
    parser = jsonargparse.ArgumentParser(
        description="Draw a token for a client and print it, once, to standard error; to standard "
        "output goes what the server's file of `tokens` needs of it, which tells nobody the "
        "token. There `expires: 2027-01-31` ends it and `per_second: 100` bounds its calls."
    )
    parser.add_argument("--client", required=True, help="who will hold it: `shop-backend`")
    parser.add_argument(
        "--roles",
        type=list[Role],
        default=[Role.READ],
        help="what it may do: any of READ, CATALOGUE, FEEDBACK, ADMIN, as `[READ,FEEDBACK]`",
    )
    return parser


def run(options: jsonargparse.Namespace) -> None:
    """Print a token to standard error, and its entry in the file of clients to standard output."""
    token, entry = new_token(options.client, options.roles)
    sys.stderr.write(f"{token}\n")
    sys.stdout.write(entry)

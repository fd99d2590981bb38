"""`python -m serving token`: makes a client's token and its entry in the clients' file."""

import sys
from datetime import datetime

import jsonargparse

from lineage.options import OptionParser
from serving.server.access.client import Client
from serving.server.access.credentials import digest_of
from serving.server.access.entries import entry_of, new_token, read_entries
from serving.server.access.roles import Role


def parser() -> OptionParser:
    """Options of `token`."""
    parser = OptionParser(
        description="Create a token for a client. Prints the token, once, to standard error, and "
        "its entry for the server's `tokens` file to standard output; the entry does not reveal "
        "the token."
    )
    parser.add_argument("--client", required=True, help="name of the client: `shop-backend`")
    parser.add_argument(
        "--roles",
        type=list[Role],
        default=[Role.READ],
        help="roles of the client, such as `[READ,FEEDBACK]`: READ; EXPLAIN, to learn of a user id "
        "whether it is known and what its recommendations rest on; CATALOGUE; FEEDBACK; ADMIN",
    )
    parser.add_argument(
        "--users",
        type=list[str] | None,
        help="prefixes of the user ids that the client may name, such as `[eu-,uk-]`; `[]` for "
        "none, by default all",
    )
    parser.add_argument(
        "--certificate",
        type=str | None,
        help="certificate of mutual TLS that must come with the token: the `spiffe://` or other "
        "URI in it, a DNS name, or `CN=name`",
    )
    parser.add_argument(
        "--certificate_alone",
        action="store_true",
        help="make no token: the certificate alone gives the roles",
    )
    parser.add_argument(
        "--per_second",
        type=int | None,
        help="rows a second: a plain call is one; ids, items and events are one each; by default "
        "no limit",
    )
    parser.add_argument(
        "--user_events_per_day",
        type=int | None,
        help="events of one user that the client may record a day; by default no limit",
    )
    parser.add_argument(
        "--expires",
        type=str | None,
        help="when the entry expires: `2027-01-31`, or a time of UTC; by default never",
    )
    return parser


def run(options: jsonargparse.Namespace) -> None:
    """Print a token to standard error, and its entry in the clients' file to standard output.

    Raises:
        ValueError: an option breaks a rule.
    """
    token = None if options.certificate_alone else new_token()
    client = Client(
        name=options.client,
        roles=frozenset(options.roles),
        digest=None if token is None else digest_of(token),
        certificate=options.certificate,
        expires=None if options.expires is None else _time(options.expires),
        per_second=options.per_second,
        users=None if options.users is None else tuple(options.users),
        user_events_per_day=options.user_events_per_day,
    )
    entry = entry_of(client)
    read_entries(entry)  # so that the server refuses none
    if token is not None:
        sys.stderr.write(f"{token}\n")
    sys.stdout.write(entry)


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"expires must be a date or a time in ISO 8601, got {text!r}") from error

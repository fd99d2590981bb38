"""Options and errors of commands that call a server or send it a file."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import jsonargparse

from lineage.options import OptionParser
from shortlist_client import RecommenderClient, client_credentials

TOKEN = "SHORTLIST_TOKEN"
"""Environment variable with the caller's token."""
FAILED = 1
"""Exit status of a command whose call failed."""


def add_server(parser: OptionParser, *, timeout: float) -> None:
    """Add the options of the connection.

    Args:
        parser: Parser of the command.
        timeout: Default deadline of a call, seconds.
    """
    parser.add_argument(
        "--target",
        default="127.0.0.1:50051",
        help="host:port of the server, an IPv6 address as [::1]:50051",
    )
    parser.add_argument(
        "--timeout", type=float, default=timeout, help="deadline of a call, seconds"
    )
    parser.add_argument(
        "--ca", type=Path | None, help="PEM certificates of the server's authority; enables TLS"
    )
    parser.add_argument(
        "--certificate", type=Path | None, help="PEM certificate of the client, for mutual TLS"
    )
    parser.add_argument("--key", type=Path | None, help="PEM private key of the certificate")


def add_columns(parser: OptionParser) -> None:
    """Add the options of how a file's columns are named and separated."""
    parser.add_argument(
        "--columns",
        type=dict[str, str],
        default={},
        help="our name of a column by the file's name: `{sku: item_id}`",
    )
    parser.add_argument(
        "--delimiter", type=str, default="", help="separates the columns of CSV; else detected"
    )


@contextmanager
def connected(
    options: jsonargparse.Namespace, *, outcome: Callable[[], str] | None = None
) -> Iterator[RecommenderClient]:
    """A client of the server that the options name.

    Args:
        options: Options of `add_server`.
        outcome: Describes the possible state after a failed call, for the error message.

    Raises:
        OSError: a certificate cannot be read.
        SystemExit: the server is out of reach or returned an error; status 1.
    """
    credentials = None
    if options.ca is not None:
        credentials = client_credentials(
            ca=options.ca, certificate=options.certificate, key=options.key
        )
    client = RecommenderClient(
        options.target,
        timeout=options.timeout,
        token=os.environ.get(TOKEN),
        credentials=credentials,
    )
    try:
        with client:
            yield client
    except (grpc.RpcError, TimeoutError) as error:
        message = _reason(error, options.target) + (f"; {outcome()}" if outcome else "")
        sys.stderr.write(f"error: {message}\n")
        raise SystemExit(FAILED) from error


def _reason(error: grpc.RpcError | TimeoutError, target: str) -> str:
    if isinstance(error, TimeoutError):
        return str(error)
    reason = f"{target} answered {error.code().name}: {error.details()}"
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        start = "python -m serving serve --releases releases/<dataset>"
        return f"{reason}; if no server is running, start one with `{start}`"
    return reason

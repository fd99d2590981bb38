"""Options by which a command reaches a server, and who it says it is."""

import os
from pathlib import Path

import jsonargparse

from shortlist_client import RecommenderClient, client_credentials

TOKEN = "SHORTLIST_TOKEN"
"""Of the environment: what is sent as the caller's token"""


def add_server(parser: jsonargparse.ArgumentParser, *, timeout: float) -> None:
    """Add the options.

    Args:
        parser: Of the command.
        timeout: Deadline of a request where none is given, s.
    """
    parser.add_argument("--target", default="127.0.0.1:50051", help="host:port of the server")
    parser.add_argument("--timeout", type=float, default=timeout, help="deadline of a request, s")
    parser.add_argument("--ca", type=Path | None, help="PEM of who signed the server; speaks TLS")
    parser.add_argument("--certificate", type=Path | None, help="PEM of the client, for mutual TLS")
    parser.add_argument("--key", type=Path | None, help="PEM of the certificate's private key")


def connected(options: jsonargparse.Namespace) -> RecommenderClient:
    """A client of the server that the options name.

    Raises:
        OSError: a certificate cannot be read.
    """
    credentials = None
    if options.ca is not None:
        credentials = client_credentials(
            ca=options.ca, certificate=options.certificate, key=options.key
        )
    return RecommenderClient(
        options.target,
        timeout=options.timeout,
        token=os.environ.get(TOKEN),
        credentials=credentials,
    )


FAILED = 1

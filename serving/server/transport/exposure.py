"""Refuses, or warns of, a server that other machines can reach without tokens or TLS."""

import logging

from serving.server.transport.addresses import is_loopback, joined

logger = logging.getLogger(__name__)


def check_exposure(host: str, port: int, *, tokens: bool, encrypted: bool, insecure: bool) -> None:
    """Refuse to listen beyond the loopback without tokens and TLS, unless `insecure` is said.

    Args:
        host: Address or name to listen on.
        port: TCP port, for the message.
        tokens: Whether every client needs a token.
        encrypted: Whether TLS is used.
        insecure: Whether the operator accepts the exposure; it is then logged.

    Raises:
        ValueError: the server would be exposed; names the options that are missing.
    """
    if is_loopback(host) or (tokens and encrypted):
        return
    missing = [
        *([] if tokens else ["tokens"]),
        *([] if encrypted else ["tls.certificate and tls.key"]),
    ]
    if not insecure:
        raise ValueError(
            f"host must be a loopback address unless {' and '.join(missing)} are given or insecure "
            f"is said, got {host}"
        )
    if not tokens:
        logger.warning("everyone who reaches %s may call everything", joined(host, port))
    if not encrypted:
        logger.warning(
            "everyone on the way to %s can read and change the calls", joined(host, port)
        )

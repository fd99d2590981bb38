"""What a caller shows of itself: a token, and a client certificate of mutual TLS."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

SCHEME = "bearer "
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:.+")
DNS_NAME = re.compile(r"[A-Za-z0-9_*.-]+")
CERTIFICATE_NAME = re.compile(rf"{URI.pattern}|CN=.+|{DNS_NAME.pattern}")
"""A name in a certificate, as the clients' file writes it. No name fits two of the forms, so a DNS
name cannot pose as a URI or as a common name."""


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What a caller shows of itself. Never holds the token."""

    digest: bytes | None = field(default=None, repr=False)
    """SHA-256 of the token; None without one"""
    names: frozenset[str] = frozenset()
    """Names in the certificate, as the clients' file writes them"""

    def with_certificate(self, auth_context: Mapping[str, Iterable[bytes]]) -> "Credentials":
        """The credentials with the names of a connection's certificate.

        Args:
            auth_context: `auth_context()` of a call.
        """
        return replace(self, names=frozenset(_names(auth_context)))


CREDENTIALS: ContextVar[Credentials | None] = ContextVar("credentials", default=None)
"""Credentials of the current call; None on a server that knows no clients"""


def digest_of(token: str) -> bytes:
    """SHA-256 of a token. No slow hash is needed: a random token is in no dictionary."""
    return hashlib.sha256(token.encode()).digest()


def sent_credentials(metadata: Iterable[tuple[str, Any]] | None) -> Credentials:
    """The credentials in the metadata of a call: no certificate, and a token if one was sent."""
    authorization = dict(metadata or ()).get("authorization")
    if not isinstance(authorization, str) or not authorization.lower().startswith(SCHEME):
        return Credentials()
    return Credentials(digest=digest_of(authorization[len(SCHEME) :].strip()))


def _names(auth_context: Mapping[str, Iterable[bytes]]) -> Iterator[str]:
    def values(key: str) -> Iterator[str]:
        return (value.decode(errors="replace") for value in auth_context.get(key, ()))

    yield from (f"CN={name}" for name in values("x509_common_name") if name)
    yield from (name for name in values("peer_uri") if URI.fullmatch(name))
    yield from (name.lower() for name in values("peer_dns") if DNS_NAME.fullmatch(name))

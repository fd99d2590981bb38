"""Access control: bearer tokens, stored as hashes, each with roles, an expiry and a rate limit."""

import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import yaml
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from serving.server.access.client import Client
from serving.server.access.errors import (
    PermissionDeniedError,
    TooManyRequestsError,
    UnauthenticatedError,
)
from serving.server.access.roles import PUBLIC_SERVICE, ROLE_OF, Role, service_of

logger = logging.getLogger(__name__)
SCHEME = "bearer "
TOKEN_BYTES = 32
"""Random bytes in a token."""


class AccessControl:
    """Admits the clients listed in a file; reads the file again when it changes."""

    def __init__(self, path: Path) -> None:
        """Read the clients.

        Raises:
            ValueError: the file breaks a rule; names the client.
            OSError: the file cannot be read.
        """
        self._path = path
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._read_at = self._changed_at()
        self._clients = read_clients(path)

    def admit(self, method: str, authorization: str | None) -> Client | None:
        """The client that makes a call; None for the public service.

        Args:
            method: `/package.Service/Method`.
            authorization: Value of the call's `authorization` metadata.

        Raises:
            AccessError: the client may not make the call.
        """
        service = service_of(method)
        if service == PUBLIC_SERVICE:
            return None
        client = self._client(authorization)
        role = ROLE_OF.get(service)
        if role is not None and role not in client.roles:
            raise PermissionDeniedError(f"token must have the role {role.value!r}")
        self._check_rate(client)
        return client

    def _client(self, authorization: str | None) -> Client:
        if authorization is None or not authorization.lower().startswith(SCHEME):
            raise UnauthenticatedError("authorization must be `Bearer <token>`")
        given, found = digest_of(authorization[len(SCHEME) :].strip()), None
        for client in self._current_clients():  # no early exit: timing must not reveal a match
            if client.digest and hmac.compare_digest(client.digest, given):
                found = client
        if found is None or found.expired:
            raise UnauthenticatedError("token must be one that the server knows")
        return found

    def _check_rate(self, client: Client) -> None:
        if client.per_second is None:
            return
        allowed = RateLimitItemPerSecond(client.per_second)
        if not self._limiter.hit(allowed, client.name):
            reset = self._limiter.get_window_stats(allowed, client.name).reset_time
            raise TooManyRequestsError(
                f"calls must be at most {client.per_second} a second",
                retry_seconds=max(reset - time.time(), 0.01),
            )

    def _current_clients(self) -> Sequence[Client]:
        """The clients of the file; if it is now unreadable, the clients read before."""
        try:
            changed = self._changed_at()
            if changed != self._read_at:
                self._read_at = changed  # reads an invalid file once, not at each call
                self._clients = read_clients(self._path)
        except (OSError, ValueError) as error:
            logger.warning("the clients read before stay valid: %s", error)
        return self._clients

    def _changed_at(self) -> int:
        return self._path.stat().st_mtime_ns


def digest_of(token: str) -> bytes:
    """SHA-256 of a token. No slow hash is needed: a random token is in no dictionary."""
    return hashlib.sha256(token.encode()).digest()


def new_token(name: str, roles: Sequence[Role]) -> tuple[str, str]:
    """A new token, and its entry for the file of clients, which does not reveal the token."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    entry = {
        "client": name,
        "sha256": digest_of(token).hex(),
        "roles": [role.value for role in roles],
    }
    return token, yaml.safe_dump([entry], sort_keys=False)


def read_clients(path: Path) -> list[Client]:
    """Clients of a YAML file: `client`, `sha256`, `roles`; optional `expires`, `per_second`.

    Raises:
        ValueError: the file breaks a rule; names the client.
        OSError: the file cannot be read.
    """
    try:
        entries = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"{path} must be YAML, got {error}") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f"{path} must be a list of clients")
    clients = [_client(path, entry) for entry in entries]
    for field in ("name", "digest"):
        values = [getattr(client, field) for client in clients]
        if len(set(values)) < len(values):
            raise ValueError(f"{path} must list each client and each token once")
    return clients


def _client(path: Path, entry: Mapping[str, Any]) -> Client:
    name = entry.get("client")
    about = f"client {name!r} in {path}"
    if unknown := set(entry) - {"client", "sha256", "roles", "expires", "per_second"}:
        raise ValueError(f"{about} has unknown fields: {', '.join(sorted(map(str, unknown)))}")
    if not isinstance(name, str) or not name:
        raise ValueError(f"{about} must have a name under `client`")
    try:
        digest = bytes.fromhex(entry["sha256"])
        roles = frozenset(Role(role) for role in entry["roles"])
    except (KeyError, TypeError, ValueError) as error:
        known = ", ".join(role.value for role in Role)
        raise ValueError(
            f"{about} must have `sha256` in hexadecimal and `roles` among {known}"
        ) from error
    if len(digest) != hashlib.sha256().digest_size:
        raise ValueError(f"sha256 of {about} must be 64 hexadecimal digits, got {2 * len(digest)}")
    rate = entry.get("per_second")
    if rate is not None and (not isinstance(rate, int) or rate < 1):
        raise ValueError(f"per_second of {about} must be a whole number of at least 1, got {rate}")
    return Client(
        name=name,
        digest=digest,
        roles=roles,
        expires=_expiry(about, entry.get("expires")),
        per_second=rate,
    )


def _expiry(about: str, value: Any) -> datetime | None:
    """The time of an expiry. A date expires when it begins; without a zone it is UTC."""
    if value is None:
        return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime):
        raise ValueError(f"expires of {about} must be a date or a time, got {value!r}")
    return value if value.tzinfo else value.replace(tzinfo=UTC)

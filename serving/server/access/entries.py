"""Entries of the clients' file: reads them, and makes a new one."""

import re
import secrets
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import yaml

from lineage.repeated_keys import repeated_keys
from serving.server.access.client import Client
from serving.server.access.credentials import CERTIFICATE_NAME
from serving.server.access.roles import Role

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times as fast where PyYAML has libyaml."""
TOKEN_BYTES = 32
"""Random bytes in a token."""
KEYS = (
    *("client", "sha256", "certificate", "roles", "users"),
    *("expires", "per_second", "user_events_per_day"),
)
"""Fields of an entry."""


def new_token() -> str:
    """A new random token."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def entry_of(client: Client) -> str:
    """The entry of a client in the clients' file, as YAML. Does not reveal the token."""
    entry = {
        "client": client.name,
        "sha256": None if client.digest is None else client.digest.hex(),
        "certificate": client.certificate,
        "roles": [role.value for role in Role if role in client.roles],
        "users": None if client.users is None else list(client.users),
        "expires": client.expires,
        "per_second": client.per_second,
        "user_events_per_day": client.user_events_per_day,
    }
    written = {key: value for key, value in entry.items() if value is not None}
    return yaml.safe_dump([written], sort_keys=False)


def read_entries(text: str | bytes) -> tuple[Client, ...]:
    """The clients of a YAML list of entries.

    Raises:
        ValueError: an entry breaks a rule, or has a key twice; names the client or the lines.
    """
    try:
        entries = yaml.load(text, Loader)
        repeated = repeated_keys(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"it must be YAML, got {error}") from error
    if repeated:
        raise ValueError(repeated[0])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("it must be a list of clients")
    clients = tuple(map(_client, entries))
    alone = [client.certificate for client in clients if client.digest is None]
    tokens = [client.digest for client in clients if client.digest is not None]
    for values in ([client.name for client in clients], tokens, alone):
        if len(set(values)) < len(values):
            raise ValueError("it must list each client, token and lone certificate once")
    return clients


def _client(entry: Mapping[str, Any]) -> Client:
    name = entry.get("client")
    if not isinstance(name, str) or not name:
        raise ValueError(f"every client must have a name under `client`, got {name!r}")
    about = f"of client {name!r}"
    if unknown := set(entry) - set(KEYS):
        raise ValueError(
            f"fields {about} must be known, got {', '.join(sorted(map(str, unknown)))}"
        )
    for key, value in entry.items():
        if value is None:  # a forgotten value must not lift a restriction
            raise ValueError(f"{key} {about} must have a value or be left out, got neither")
    if "sha256" not in entry and "certificate" not in entry:
        raise ValueError(f"sha256 or certificate {about} must be given, got neither")
    return Client(
        name=name,
        roles=_roles(about, entry.get("roles")),
        digest=_digest(about, entry.get("sha256")),
        certificate=_certificate(about, entry.get("certificate")),
        expires=_expiry(about, entry.get("expires")),
        per_second=_count("per_second", about, entry.get("per_second")),
        users=_users(about, entry.get("users")),
        user_events_per_day=_count("user_events_per_day", about, entry.get("user_events_per_day")),
    )


def _roles(about: str, value: Any) -> frozenset[Role]:
    try:
        return frozenset(Role(role) for role in value)
    except (TypeError, ValueError) as error:
        known = ", ".join(role.value for role in Role)
        raise ValueError(f"roles {about} must be a list of {known}, got {value!r}") from error


def _digest(about: str, value: Any) -> bytes | None:
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", value):
        raise ValueError(f"sha256 {about} must be 64 hexadecimal digits")
    return bytes.fromhex(value)


def _certificate(about: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not CERTIFICATE_NAME.fullmatch(value):
        raise ValueError(f"certificate {about} must be a URI, a DNS name or CN=name, got {value!r}")
    return value if "=" in value or ":" in value else value.lower()


def _users(about: str, value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    prefixes = [value] if isinstance(value, str) else value
    if not isinstance(prefixes, list) or not all(isinstance(one, str) and one for one in prefixes):
        raise ValueError(f"users {about} must be a prefix or a list of prefixes, got {value!r}")
    return tuple(prefixes)


def _count(name: str, about: str, value: Any) -> int | None:
    if value is not None and (type(value) is not int or value < 1):
        raise ValueError(f"{name} {about} must be a whole number of at least 1, got {value!r}")
    return value


def _expiry(about: str, value: Any) -> datetime | None:
    """The time of an expiry. A date expires when it begins; without a zone it is UTC."""
    if value is None:
        return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime):
        raise ValueError(f"expires {about} must be a date or a time, got {value!r}")
    return value if value.tzinfo else value.replace(tzinfo=UTC)

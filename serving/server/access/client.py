"""A client of the server, and the client of the current call."""

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime

from serving.server.access.roles import Role


@dataclass(frozen=True, kw_only=True)
class Client:
    """A client that holds a token, a certificate or both."""

    name: str
    roles: frozenset[Role]
    digest: bytes | None = None
    """SHA-256 of the token; None if the certificate alone identifies the client"""
    certificate: str | None = None
    """Name in the certificate that the client must show; None for any, or none"""
    expires: datetime | None = None
    """Expiry of the entry; None for never"""
    per_second: int | None = None
    """Budget, rows a second; None for no limit"""
    users: tuple[str, ...] | None = None
    """Prefixes of the user ids that the client may name; None for every id, empty for none"""
    user_events_per_day: int | None = None
    """Events of one user that the client may record a day; None for no limit"""

    @property
    def expired(self) -> bool:
        """Whether the entry has expired by now."""
        return self.expires is not None and self.expires <= datetime.now(UTC)

    def may_name(self, user_id: str) -> bool:
        """Whether the client may read and write about a user."""
        return self.users is None or user_id.startswith(self.users)


CLIENT: ContextVar[Client | None] = ContextVar("client", default=None)
"""Client of the current call; None for a public service, and on a server that knows no clients"""


def current_client_name() -> str:
    """Name of the client of the current call; empty if there is none."""
    client = CLIENT.get()
    return "" if client is None else client.name

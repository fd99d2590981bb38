"""Access control: who a caller is, and whether it may make a call, now and while a stream lasts."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from serving.api.errors import UnavailableError
from serving.server.access.budgets import ClientBudgets
from serving.server.access.client import Client
from serving.server.access.clients_file import ClientsFile
from serving.server.access.credentials import Credentials
from serving.server.access.errors import PermissionDeniedError, UnauthenticatedError
from serving.server.access.roles import ANY_ROLE, PUBLIC_SERVICE, ROLE_OF, service_of

logger = logging.getLogger(__name__)


class AccessControl:
    """Admits the clients listed in a file."""

    def __init__(self, path: Path, *, mutual_tls: bool = False) -> None:
        """Read the clients.

        Args:
            path: The clients' file.
            mutual_tls: Whether callers show certificates; if not, warns of clients that need one.

        Raises:
            ValueError: the file breaks a rule; names the client.
            OSError: the file cannot be read.
        """
        self._file = ClientsFile(path)
        self._index = _Listed()
        self.budgets = ClientBudgets()
        """Rows a second of each client"""
        bound = [client.name for client in self._file.clients() if client.certificate]
        if bound and not mutual_tls:
            logger.warning(
                "clients with a certificate are refused, because `tls.client_ca` is not set: %s",
                ", ".join(bound),
            )

    def needs_certificate(self, method: str, credentials: Credentials) -> bool:
        """Whether only the certificate tells who makes a call.

        Args:
            method: `/package.Service/Method`.
            credentials: Credentials without the names of a certificate.
        """
        if service_of(method) == PUBLIC_SERVICE:
            return False
        if credentials.digest is None:
            return bool(self._listed().alone)
        client = self._by_token(credentials.digest)
        return client is not None and client.certificate is not None

    def admit(self, method: str, credentials: Credentials, *, exists: bool = True) -> Client | None:
        """The client that makes a call, charged with a row; None if a public service needs none.

        Args:
            method: `/package.Service/Method`.
            credentials: What the caller shows of itself.
            exists: Whether the server has the method; if not, no role is required.

        Raises:
            AccessError: the client may not make the call.
        """
        public = service_of(method) == PUBLIC_SERVICE
        client = self._known(credentials)
        if public:
            return client
        if client is None:
            raise UnauthenticatedError(
                "authorization must be `Bearer <token>` with a token that the server knows"
            )
        if exists:
            _check_role(method, client)
        self.budgets.charge(client, 1)
        return client

    def check_still(self, method: str, credentials: Credentials, client: Client) -> None:
        """Refuse a call in progress if the client may no longer make it.

        Args:
            method: `/package.Service/Method`.
            credentials: What the caller showed of itself when the call began.
            client: The client when the call began.

        Raises:
            AccessError: the client may no longer make the call.
            UnavailableError: the client's entry has changed otherwise; the caller may call again.
        """
        now = self._known(credentials)
        if now is None:
            raise UnauthenticatedError("the token or the certificate is no longer valid")
        if service_of(method) != PUBLIC_SERVICE:
            _check_role(method, now)
        if now != client:
            raise UnavailableError(
                "the client's rights have changed; send what was not acknowledged again"
            )

    def _known(self, credentials: Credentials) -> Client | None:
        """The client with these credentials that has not expired; None if there is none."""
        found = (
            self._by_token(credentials.digest)
            if credentials.digest is not None
            else self._by_certificate(credentials.names)
        )
        if found is None or found.expired:
            return None
        bound = found.certificate is not None
        return None if bound and found.certificate not in credentials.names else found

    def _by_token(self, digest: bytes) -> Client | None:
        # nobody can choose the digest of a token, so the time of a look-up tells nothing about one
        return self._listed().by_digest.get(digest)

    def _by_certificate(self, names: frozenset[str]) -> Client | None:
        """The client whose certificate alone identifies it; None unless exactly one fits."""
        fitting = [client for client in self._listed().alone if client.certificate in names]
        return fitting[0] if len(fitting) == 1 else None

    def _listed(self) -> "_Listed":
        clients = self._file.clients()
        if clients is not self._index.clients:
            self._index = _Listed.of(clients)
        return self._index


@dataclass(frozen=True, kw_only=True)
class _Listed:
    """The clients of the file, by what they show of themselves."""

    clients: Sequence[Client] = ()
    by_digest: Mapping[bytes, Client] = field(default_factory=dict)
    alone: Sequence[Client] = ()
    """Those that a certificate alone identifies"""

    @classmethod
    def of(cls, clients: Sequence[Client]) -> "_Listed":
        """Index the clients."""
        return cls(
            clients=clients,
            by_digest={c.digest: c for c in clients if c.digest is not None},
            alone=tuple(c for c in clients if c.digest is None),
        )


def _check_role(method: str, client: Client) -> None:
    service = service_of(method)
    if service in ANY_ROLE:
        return
    role = ROLE_OF.get(service)
    if role is None:
        raise PermissionDeniedError("the service must have a role, got none")
    if role not in client.roles:
        raise PermissionDeniedError(f"token must have the role {role.value!r}")

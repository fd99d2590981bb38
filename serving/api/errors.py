"""Errors that a caller can act on; `server.interceptors.statuses` has their gRPC statuses.

InvalidRequestError (`shortlist_client.api.errors`): the request breaks a rule.
UnknownItemError: the catalogue does not hold the item that was asked about.
QueueFullError: too many requests wait; says when to ask again.
OtherReleaseError: the request names another release than the live one; names both.
UnavailableError: something that the answer needs is out of reach; asking again may help.
UnknownReleaseError: no such release is kept.
PreconditionError: the state of the server forbids it; says what stands in the way.
"""


class UnknownItemError(LookupError):
    """The item that the request is about is not in the catalogue."""


class QueueFullError(RuntimeError):
    """So many wait already that this one cannot."""

    def __init__(self, waiting: int, retry_seconds: float) -> None:
        """Say how many wait, and when to ask again."""
        super().__init__(f"{waiting} requests wait already; try again in {retry_seconds:.3f} s")
        self.retry_seconds = retry_seconds


class OtherReleaseError(RuntimeError):
    """The request is bound to another release than the one that is live."""

    def __init__(self, asked: str, live: str | None) -> None:
        """Say which was asked for, and which is live; None where none was published."""
        known = "one, and this server's was never published" if live is None else f"one, {live!r}"
        super().__init__(f"release must be the live {known}, got {asked!r}")
        self.live = live


class UnavailableError(Exception):
    """What the answer needs is out of reach now; asking again may help."""


class UnknownReleaseError(LookupError):
    """No such release is kept."""


class PreconditionError(Exception):
    """It cannot be done as things are."""

"""Errors that a caller can act on; `server.interceptors.statuses` has their gRPC statuses.

InvalidRequestError (`shortlist_client.api.errors`): the request breaks a rule.
UnknownItemError: the catalogue does not have the item of the request.
MessageTooLargeError: a message has too many bytes.
QueueFullError: too many requests wait; says when to retry.
OtherReleaseError: the request names a release that is not live; names both.
UnavailableError: a part of the server is out of reach or shutting down; a retry may help.
    LoadingError: the server has not loaded its release yet; says when to retry.
UnknownReleaseError: the release does not exist.
PreconditionError: the state of the server forbids the call; gives the reason.
"""


class UnknownItemError(LookupError):
    """The catalogue does not have the item of the request."""


class MessageTooLargeError(ValueError):
    """The message, or the answer that it asks for, has too many bytes; names the limit."""


class QueueFullError(RuntimeError):
    """The queue is full."""

    def __init__(self, waiting: int, retry_seconds: float) -> None:
        """Take the number of waiting requests and the time after which to retry."""
        super().__init__(f"{waiting} requests wait already; try again in {retry_seconds:.3f} s")
        self.retry_seconds = retry_seconds


class OtherReleaseError(RuntimeError):
    """The request names a release that is not live."""

    def __init__(self, requested: str, live: str | None) -> None:
        """Take the release of the request and the live one; None if it was never published."""
        known = "one, and this server's was never published" if live is None else f"one, {live!r}"
        super().__init__(f"release must be the live {known}, got {requested!r}")
        self.live = live


class UnavailableError(Exception):
    """A part of the server is out of reach or shutting down; a retry may help."""


class LoadingError(UnavailableError):
    """The server has not loaded its release yet."""

    def __init__(self, retry_seconds: float) -> None:
        """Take the time after which to retry."""
        super().__init__(f"the release is being loaded; try again in {retry_seconds:g} s")
        self.retry_seconds = retry_seconds


class UnknownReleaseError(LookupError):
    """The release does not exist."""


class PreconditionError(Exception):
    """The state of the server forbids the call."""

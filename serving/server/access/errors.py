"""Errors of access control; `interceptors.statuses` has their gRPC statuses.

AccessError
    UnauthenticatedError: the token is missing, unknown, expired, or sent without its certificate.
    PermissionDeniedError: the client lacks the role, or the user is not one of its users.
    TooManyRequestsError: the client's budget is used up; says when to retry.
"""


class AccessError(Exception):
    """The client may not make the call."""


class UnauthenticatedError(AccessError):
    """The token is missing, unknown, expired, or sent without its certificate."""


class PermissionDeniedError(AccessError):
    """The client lacks the role, or the user is not one of its users."""


class TooManyRequestsError(AccessError):
    """The client's budget is used up."""

    def __init__(self, message: str, *, retry_seconds: float) -> None:
        """Take the message and the time after which to retry."""
        super().__init__(message)
        self.retry_seconds = retry_seconds

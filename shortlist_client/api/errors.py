"""Error of requests that break the contract."""


class InvalidRequestError(ValueError):
    """The request breaks a rule; names the field, the rule and the value."""

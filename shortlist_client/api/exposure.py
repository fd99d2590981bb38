"""Exposures: answers that were shown."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

PLACEMENT = re.compile(r"[A-Za-z0-9_./-]{0,64}")
"""Names of places in a shop."""


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """An answer that was shown, as the server logged it."""

    request_id: str
    """The request, as the answer named it."""
    time: int
    """Unix seconds."""
    client: str = ""
    """Name of the client that asked; empty where the server knows no clients."""
    user_id: str = ""
    """The user; empty for a stranger."""
    placement: str = ""
    """Where in the shop the items were shown, as the request had it."""
    method: str
    """The call, such as `recommend`."""
    release: str = ""
    """Id of the release that answered; empty if it was not published."""
    experiment: str = ""
    """Experiment that the answer belongs to; empty for none."""
    arm: str = ""
    """Arm of the experiment."""
    policy: str = ""
    """Policy that randomised the answer; empty for none."""
    item_ids: Sequence[str]
    """The items, in the order shown; their positions count from 1."""
    scores: Sequence[float]
    """What the answer was ordered by, for each item."""
    propensities: Sequence[float] = ()
    """Probability with which the policy showed each item at its place, given the places above;
    empty if the answer was not randomised."""

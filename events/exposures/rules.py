"""Rules for exposures."""

import math

from events.event import KEYED, check_text
from shortlist_client.api.event import ID_LENGTH
from shortlist_client.api.exposure import PLACEMENT, Exposure

NAMES = ("client", "user_id", "method", "release", "experiment", "arm", "policy")


def check_exposure(exposure: Exposure) -> None:
    """Refuse an exposure that breaks a rule.

    Raises:
        ValueError: a rule is broken; names the field, the rule and the value.
    """
    check_text("request_id", exposure.request_id)
    if not exposure.request_id:
        raise ValueError("request_id must not be empty, got ''")
    for name in NAMES:
        check_text(name, getattr(exposure, name))
    if KEYED.fullmatch(exposure.user_id):  # stored as it is, it would bar every new key
        raise ValueError(f"user_id must not look like a keyed name, got {exposure.user_id!r}")
    if not PLACEMENT.fullmatch(exposure.placement):
        raise ValueError(
            "placement must be at most 64 ASCII letters, digits and _-./, "
            f"got {exposure.placement!r}"
        )
    if not 0 <= exposure.time < 2**62:
        raise ValueError(f"time must be Unix seconds, got {exposure.time}")
    _check_items(exposure)


def _check_items(exposure: Exposure) -> None:
    shown = len(exposure.item_ids)
    if not shown or len(exposure.scores) != shown or len(exposure.propensities) not in (0, shown):
        raise ValueError(
            "item_ids must be at least one, with as many scores, and as many propensities or none, "
            f"got {shown}, {len(exposure.scores)} and {len(exposure.propensities)}"
        )
    longest = max(map(len, exposure.item_ids))
    if longest > ID_LENGTH:
        raise ValueError(f"item_ids must have at most {ID_LENGTH} characters each, got {longest}")
    together = "".join(exposure.item_ids)
    if "\0" in together or together != together.encode(errors="ignore").decode():
        raise ValueError("item_ids must be text without NUL or lone surrogates")
    if any(math.isnan(score) for score in exposure.scores):
        raise ValueError("scores must be numbers, got nan")
    if not all(0 < propensity <= 1 for propensity in exposure.propensities):
        raise ValueError("propensities must be above 0 and at most 1 each")

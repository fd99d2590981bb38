"""Assigns users to arms by a keyed hash: a user has the same arm always and on every server."""

from collections.abc import Mapping
from hashlib import blake2b
from itertools import accumulate

from online.experiments.experiment import Arm, Experiment, Experiments

WORD = 1 << 64


def assigned(experiments: Experiments, user_id: str) -> Mapping[str, Arm]:
    """Arm of each experiment that a user takes part in, by the experiment's name.

    Args:
        experiments: The experiments.
        user_id: Id of the user, before any keyed name: those change when a key is added. Empty for
            strangers, who take part in none.
    """
    arms = ((each.name, arm_of(each, user_id, experiments.key)) for each in experiments.experiments)
    return {name: arm for name, arm in arms if arm is not None}


def arm_of(experiment: Experiment, user_id: str, key: str = "") -> Arm | None:
    """Arm of a user; None if the user does not take part.

    The place in the layer decides who takes part, and a second hash decides the arm. So a ramp adds
    users at its end alone, and each arm gets its weight of them.
    """
    if not user_id or experiment.state != "running":
        return None
    low, high = experiment.users
    layer = ("layer", experiment.layer) if experiment.layer else ("own layer", experiment.name)
    if not low <= hashed(*layer, user_id, key=key) < low + (high - low) * experiment.ramp:
        return None
    bounds = list(accumulate(arm.weight for arm in experiment.arms))
    drawn = hashed("arm", experiment.name, user_id, key=key) * bounds[-1]
    return next(arm for arm, bound in zip(experiment.arms, bounds, strict=True) if drawn < bound)


def hashed(purpose: str, name: str, user_id: str, *, key: str = "") -> float:
    """A number that is uniform in [0, 1) over users, and independent over purposes and names."""
    text = "\0".join((purpose, name, user_id)).encode()
    digest = blake2b(text, digest_size=8, key=key.encode()).digest()
    return (int.from_bytes(digest) >> 11) / (WORD >> 11)

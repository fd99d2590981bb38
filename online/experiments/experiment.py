"""Experiments and their arms, as the file of experiments describes them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from lineage.options import options_in

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One of the variants of an experiment: how its users are answered."""

    name: str
    """Letters, digits, `_` and `-`, at most 64."""
    weight: float = 1.0
    """Share of the users beside the other arms' weights. Must not change while it runs."""
    release: str = ""
    """Id of the release that answers; empty for the live one."""
    ranking: Literal["default", "shortlist"] = "default"
    """`shortlist` leaves the order of the recall as it is, without the ranker."""
    diversity: float | None = None
    """Strength of diversity in place of the request's, 0 to 1."""

    def __post_init__(self) -> None:
        _check_name("name of an arm", self.name)
        if not 0 < self.weight < float("inf"):
            raise ValueError(f"weight of {self.name} must be positive, got {self.weight}")
        if self.diversity is not None and not 0 <= self.diversity <= 1:
            raise ValueError(f"diversity of {self.name} must be 0 to 1, got {self.diversity}")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Arms that are compared on users who are assigned to them at random."""

    name: str
    """Letters, digits, `_` and `-`, at most 64. Another name assigns users anew."""
    arms: Sequence[Arm]
    """At least two; the first one is the control."""
    kind: Literal["split", "interleaved"] = "split"
    """`split`: each user has one arm. `interleaved`: two arms draft each answer together."""
    state: Literal["planned", "running", "stopped"] = "planned"
    """Only a running experiment has users."""
    layer: str = ""
    """Experiments of one layer exclude each other; those of different layers overlap. Empty for a
    layer of its own."""
    users: tuple[float, float] = (0.0, 1.0)
    """Part of the layer's users that the experiment reserves, from and to, within 0 and 1."""
    ramp: float = 1.0
    """Share of the reserved users who take part. Raising it moves nobody who takes part."""

    def __post_init__(self) -> None:
        _check_name("name of an experiment", self.name)
        if self.layer:
            _check_name(f"layer of {self.name}", self.layer)
        names = [arm.name for arm in self.arms]
        if len(names) < 2 or len(set(names)) < len(names):
            raise ValueError(f"arms of {self.name} must be two or more of different names")
        if self.kind == "interleaved" and len(names) != 2:
            raise ValueError(f"arms of {self.name} must be two to interleave, got {len(names)}")
        low, high = self.users
        if not 0 <= low < high <= 1:
            raise ValueError(f"users of {self.name} must rise within 0 and 1, got {self.users}")
        if not 0 <= self.ramp <= 1:
            raise ValueError(f"ramp of {self.name} must be 0 to 1, got {self.ramp}")


@dataclass(frozen=True, kw_only=True)
class Experiments:
    """All experiments of a shop."""

    experiments: Sequence[Experiment] = ()
    """The experiments; those of a layer reserve different users."""
    key: str = ""
    """Secret, at most 64 bytes, without which nobody can compute who gets which arm. Another key
    assigns all users anew."""

    def __post_init__(self) -> None:
        if len(self.key.encode()) > 64:
            raise ValueError(f"key must have at most 64 bytes, got {len(self.key.encode())}")
        names = [experiment.name for experiment in self.experiments]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"experiments must have different names, got {twice[0]} twice")
        reserved = sorted(
            (experiment.layer, experiment.users, experiment.name)
            for experiment in self.experiments
            if experiment.layer and experiment.state != "stopped"
        )
        for (layer, users, name), (next_layer, next_users, next_name) in pairwise(reserved):
            if layer == next_layer and next_users[0] < users[1]:
                raise ValueError(
                    f"users of {next_name} must not overlap those of {name} in layer {layer}, got "
                    f"{next_users} and {users}"
                )


def read_experiments(path: Path) -> Experiments:
    """The experiments of a YAML file.

    Raises:
        ValueError: the file cannot be read, or an experiment breaks a rule; names it.
    """
    return options_in(path, Experiments)


def _check_name(what: str, name: str) -> None:
    if not NAME.fullmatch(name):
        raise ValueError(f"{what} must be 1 to 64 letters, digits, _ and -, got {name!r}")

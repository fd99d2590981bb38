"""Figures of several systems over the same cases, with paired differences to ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.intervals import Interval, difference_interval, mean_interval

OURS = "ours"
Values = Mapping[str, NDArray[np.float64]]
"""(cases,) values of each figure that is a mean over cases"""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What is known of one system."""

    values: Values
    plain: Mapping[str, float]
    """Figures that are no means over cases, such as macro F1."""
    seconds: float | None
    """Wall time of training, s; None if it was trained elsewhere."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Figures over the same cases."""

    title: str
    cases: int
    figures: Mapping[str, Mapping[str, Interval]]
    """Means over cases by system and name."""
    plain: Mapping[str, Mapping[str, float]]
    seconds: Mapping[str, float]
    differences: Mapping[str, Mapping[str, Mapping[str, Interval]]]
    """Of our systems, minus each peer."""
    own: Sequence[str]
    """Names of our systems."""

    @property
    def headline(self) -> str:
        """The figure that a picture shows."""
        return next(iter(next(iter(self.figures.values()))))

    @property
    def plain_names(self) -> list[str]:
        """Names of the figures that are no means over cases."""
        return list(dict.fromkeys(name for plain in self.plain.values() for name in plain))


def compared(
    title: str, systems: Mapping[str, Measured], *, own: Sequence[str] = (OURS,)
) -> Comparison:
    """Intervals of every system, and of the differences to ours over the same cases.

    Args:
        title: What was measured.
        systems: At least one, all over the same cases.
        own: Names of those that are ours, there or not.
    """
    ours = [name for name in own if name in systems]
    return Comparison(
        title=title,
        cases=len(next(iter(next(iter(systems.values())).values.values()))),
        figures={
            name: {figure: mean_interval(values) for figure, values in system.values.items()}
            for name, system in systems.items()
        },
        plain={name: system.plain for name, system in systems.items()},
        seconds={
            name: system.seconds for name, system in systems.items() if system.seconds is not None
        },
        differences={
            name: {
                peer: {
                    figure: difference_interval(values, systems[peer].values[figure])
                    for figure, values in systems[name].values.items()
                }
                for peer in systems
                if peer not in own
            }
            for name in ours
        },
        own=ours,
    )


def averaged(runs: Sequence[Measured]) -> Measured:
    """One system over several trainings: each case has the mean of its values."""
    first, seconds = runs[0], [run.seconds for run in runs if run.seconds is not None]
    return Measured(
        values={name: np.mean([run.values[name] for run in runs], axis=0) for name in first.values},
        plain={name: float(np.mean([run.plain[name] for run in runs])) for name in first.plain},
        seconds=float(np.mean(seconds)) if seconds else None,
    )

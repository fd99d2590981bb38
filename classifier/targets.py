"""What a classifier predicts: labels, hierarchies of labels, and numbers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

MISSING, UNKNOWN = -1, -2
"""Codes of a row without a label, and of a label that training never saw"""
HIERARCHICAL = 0.5
"""Share of the labels with a separator from which all of them are paths"""
SKEWED = 1.0
"""Skewness of positive numbers above which their logarithm is learnt"""
Codes = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The classes of a label column, level by level; a plain column has one level.

    Paths are padded: `a` stands again on the level of `a > b`, so each row has a class on each
    level, and the classes of the last level are the labels themselves.
    """

    name: str
    """Column."""
    levels: tuple[tuple[str, ...], ...]
    """Labels of each level, from the top; children of one parent stand side by side."""
    parents: tuple[Codes, ...]
    """(classes,) of each level: place of the class's parent on the level above; 0 on the first."""
    separator: str = ""
    """Separates the parts of a path; empty if labels are no paths."""

    @classmethod
    def of(cls, name: str, values: Iterable[str | None], separator: str) -> "Labels":
        """The classes of a column.

        Args:
            name: Column.
            values: Labels of the rows; None for a missing one.
            separator: Separates the parts of a path, where at least half of the labels have it.
        """
        known = sorted({value for value in values if value is not None})
        paths = bool(separator) and sum(separator in label for label in known) >= max(
            1, HIERARCHICAL * len(known)
        )
        if not paths:
            return cls(name=name, levels=(tuple(known),), parents=(_zeros(len(known)),))
        spaced = f" {separator.strip()} "
        joined = spaced if any(spaced in label for label in known) else separator
        parts = sorted({_parts(label, separator) for label in known})
        depth = max(map(len, parts))
        keys = [sorted({path[: level + 1] for path in parts}) for level in range(depth)]
        places = [{key: place for place, key in enumerate(of_level)} for of_level in keys]
        parents = [_zeros(len(keys[0]))] + [
            np.array([above[key[:level]] for key in of_level], np.int64)
            for level, (above, of_level) in enumerate(zip(places, keys[1:], strict=False), 1)
        ]
        names = tuple(tuple(joined.join(key) for key in of_level) for of_level in keys)
        return cls(name=name, levels=names, parents=tuple(parents), separator=separator)

    def codes(self, values: Sequence[str | None]) -> Codes:
        """(rows, levels): class of each row; `MISSING` without a label, `UNKNOWN` if it is new."""
        found = np.full((len(values), len(self.levels)), MISSING, np.int64)
        for row, value in enumerate(values):
            if value is not None:
                found[row] = self._chains.get(self._key(value), UNKNOWN)
        return found

    @cached_property
    def _chains(self) -> dict[str | tuple[str, ...], Codes]:
        """(levels,) classes of each label, from the top."""
        last = np.arange(len(self.levels[-1]))
        chain = [last]
        for parents in reversed(self.parents[1:]):
            chain.append(parents[chain[-1]])
        table = np.stack(chain[::-1], axis=1)
        return {self._key(label): table[place] for place, label in enumerate(self.levels[-1])}

    def _key(self, label: str) -> str | tuple[str, ...]:
        return _parts(label, self.separator) if self.separator else label

    @property
    def outputs(self) -> tuple[int, ...]:
        """Number of logits of each level."""
        return tuple(map(len, self.levels))


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """A column of numbers and the scale on which they are learnt."""

    name: str
    """Column."""
    logarithm: bool
    """Whether the natural logarithm is learnt."""
    mean: float
    """Mean of the learnt numbers, or of their logarithms."""
    scale: float
    """Their standard deviation."""
    centre: float = 0.0
    """Median of the residuals on validation rows, in units of `scale`."""
    spread: float = 1.0
    """Robust standard deviation of these residuals, in units of `scale`."""
    outputs: tuple[int, ...] = (1,)
    """Number of outputs."""

    @classmethod
    def of(cls, name: str, values: Values, *, logarithm: bool | None) -> "Numbers":
        """The scale of a column.

        Args:
            name: Column.
            values: (rows,) numbers; NaN for a missing one.
            logarithm: Whether to learn the logarithm; None for positive, skewed numbers alone.

        Raises:
            ValueError: the logarithm is wanted of numbers that are not positive.
        """
        known = values[np.isfinite(values)]
        if logarithm and known.min(initial=1.0) <= 0:
            raise ValueError(
                "logarithm must be auto or no for numbers that are not all positive, got "
                f"{name!r} with {known.min():g}"
            )
        taken = (known.min() > 0 and skewness(known) > SKEWED) if logarithm is None else logarithm
        learnt = np.log(known) if taken else known
        deviation = float(learnt.std())
        return cls(
            name=name, logarithm=bool(taken), mean=float(learnt.mean()), scale=deviation or 1.0
        )

    def scaled(self, values: Values) -> Values:
        """(rows,): numbers on the learnt scale, of mean 0 and deviation 1; NaN where undefined."""
        if self.logarithm:
            positive = np.where(values > 0, values, np.nan)
            return (np.log(positive) - self.mean) / self.scale
        return (values - self.mean) / self.scale

    def learnt(self, values: Values) -> Values:
        """(rows,): the numbers, or their logarithms where these are learnt."""
        return self.scaled(values) * self.scale + self.mean

    def in_units(self, scaled: Values) -> Values:
        """(rows,): numbers in the units of the column."""
        learnt = scaled * self.scale + self.mean
        return np.exp(learnt) if self.logarithm else learnt


Target = Labels | Numbers


def skewness(values: Values) -> float:
    """Third standardised moment; 0 for numbers without spread."""
    deviation = values.std()
    return float((((values - values.mean()) / deviation) ** 3).mean()) if deviation else 0.0


def output_slices(targets: Iterable[Target]) -> list[range]:
    """Numbers of each target's outputs among the outputs of all targets."""
    ends = np.cumsum([0, *(len(target.outputs) for target in targets)]).tolist()
    return [range(start, end) for start, end in pairwise(ends)]


def _parts(label: str, separator: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in label.split(separator.strip() or separator))


def _zeros(size: int) -> Codes:
    return np.zeros(size, np.int64)

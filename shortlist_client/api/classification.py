"""What a classifier predicts of texts and items."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Label:
    """A label and how probable it is."""

    label: str
    """As in the training's table; on a level, the path down to it."""
    probability: float
    """Calibrated probability, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What is predicted of a text or an item."""

    labels: Sequence[Label] = ()
    """Most probable first; empty for a column of numbers, and for an input without words."""
    number: float | None = None
    """The number, in the units of the column; None for a column of labels, and without words."""
    item_id: str = ""
    """The item; empty for a text."""

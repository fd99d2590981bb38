"""Layout of the report's pictures; the template draws them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from classifier.measure import LevelFigures, NumberFigures

MOST_CLASSES = 40
"""Classes in a confusion picture: those with most mistakes"""
MOST_POINTS = 1_500
"""Points of a scatter picture"""
TICKS = 5


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One square of a confusion picture."""

    row: int
    column: int
    strength: float
    """Share of the row's texts, in [0, 1]."""
    says: str
    right: bool


@dataclass(frozen=True, kw_only=True)
class ConfusionPlot:
    """Squares by true label (rows) and predicted label (columns)."""

    labels: Sequence[str]
    cells: Sequence[Cell]
    hidden: int
    """Labels that are not shown."""


@dataclass(frozen=True, kw_only=True)
class ReliabilityBar:
    """One bin of confidence, in percent of both axes."""

    left: float
    width: float
    accuracy: float
    says: str


@dataclass(frozen=True, kw_only=True)
class ScatterPlot:
    """Points of value and prediction, in percent of both axes, which are equal."""

    points: Sequence[tuple[float, float]]
    ticks: Sequence[tuple[float, str]]


def confusion_plot(level: LevelFigures) -> ConfusionPlot:
    """Lay out the labels with most mistakes, in the order of the labels."""
    place = {label: number for number, label in enumerate(level.labels)}
    mistakes = np.zeros(len(level.labels))
    for true, predicted, texts in level.confusions:
        mistakes[[place[true], place[predicted]]] += texts
    seen = (level.classes.support + level.classes.predicted) > 0
    order = np.argsort(-np.where(seen, mistakes, -1), kind="stable")[:MOST_CLASSES]
    shown = np.sort(order[seen[order]]).tolist()
    at = {level.labels[number]: position for position, number in enumerate(shown)}
    support = level.classes.support
    cells = [
        _cell(at[true], at[predicted], texts, int(support[place[true]]), (true, predicted))
        for true, predicted, texts in level.confusions
        if true in at and predicted in at
    ]
    for position, number in enumerate(shown):
        texts = round(float(level.classes.recall[number]) * int(support[number]))
        if texts:
            label = level.labels[number]
            cells.append(_cell(position, position, texts, int(support[number]), (label, label)))
    labels = [level.labels[number] for number in shown]
    return ConfusionPlot(labels=labels, cells=cells, hidden=int(seen.sum()) - len(shown))


def _cell(row: int, column: int, texts: int, support: int, names: tuple[str, str]) -> Cell:
    true, predicted = names
    says = f"{true} → {predicted}: {texts} of {support}"
    strength = round(texts / max(support, 1), 3)
    return Cell(row=row, column=column, strength=strength, says=says, right=row == column)


def reliability_plot(level: LevelFigures) -> list[ReliabilityBar]:
    """Lay out the bins of confidence that hold texts."""
    bins = level.reliability
    width = 100 / len(bins.texts)
    return [
        ReliabilityBar(
            left=round(number * width, 2),
            width=round(width, 2),
            accuracy=round(100 * float(bins.accuracy[number]), 2),
            says=f"{texts:,} texts: confidence {bins.confidence[number]:.3f}, "
            f"accuracy {bins.accuracy[number]:.3f}",
        )
        for number, texts in enumerate(bins.texts.tolist())
        if texts
    ]


def scatter_plot(figures: NumberFigures) -> ScatterPlot:
    """Lay out at most `MOST_POINTS` rows, evenly drawn; ticks are in the units of the column."""
    step = max(1, math.ceil(len(figures.points) / MOST_POINTS))
    points = np.array(figures.points[::step])
    low, high = np.percentile(points, [0.2, 99.8])
    span = (high - low) or 1.0
    percent = (100 * (points - low) / span).clip(0, 100).round(2)
    places = np.linspace(low, high, TICKS)
    values = np.exp(places) if figures.logarithm else places
    ticks = [
        (round(100 * (place - low) / span, 2), f"{value:.3g}")
        for place, value in zip(places.tolist(), values.tolist(), strict=True)
    ]
    return ScatterPlot(points=[(x, y) for x, y in percent.tolist()], ticks=ticks)

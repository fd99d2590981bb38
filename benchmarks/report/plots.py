"""Layout of plots: places of bars, points and ticks; the templates draw them."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from evaluation.intervals import Interval

TICKS = 4
"""Target number of steps of an axis; it may have one more."""
LEAST_MISSED = 1e-4
"""Miss rate (1 − recall) at the upper end of a recall axis; smaller ones are drawn there."""


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A labelled place on an axis."""

    at: float
    """Place, percent of the axis."""
    label: str


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One figure with its interval."""

    label: str
    own: bool
    """Whether the figure is this engine's, not a peer's."""
    value: float
    length: float
    """Length of the bar, percent of the axis."""
    low: float
    """Lower end of the interval, percent of the axis."""
    high: float
    """Upper end of the interval, percent of the axis."""


@dataclass(frozen=True, kw_only=True)
class Plot:
    """Horizontal bars that share an axis from 0."""

    title: str
    bars: list[Bar]
    ticks: list[Tick]


@dataclass(frozen=True, kw_only=True)
class Point:
    """One operating point, placed in percent of the axes from the lower left."""

    label: str
    x: float
    y: float
    taken: bool
    """Whether this is the point to serve with."""


@dataclass(frozen=True, kw_only=True)
class PointPlot:
    """Points of quality over latency or speed, with the ticks of both axes."""

    title: str
    points: list[Point]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    named: bool = False
    """Whether labels of points are shown, on the right and on the left in turns."""


def bar_plot(title: str, figures: Mapping[str, Interval], own: Collection[str] = ()) -> Plot:
    """Lay out one bar per figure, in the given order.

    Args:
        title: Heading of the plot.
        figures: Non-negative figures by label.
        own: Labels of this engine's figures.
    """
    largest = max((figure["high"] for figure in figures.values()), default=0.0)
    step = round_step(largest)
    end = step * max(1, math.ceil(largest / step - 1e-9))
    bars = [
        Bar(
            label=label,
            own=label in own,
            value=figure["value"],
            length=_percent(figure["value"], end),
            low=_percent(figure["low"], end),
            high=_percent(figure["high"], end),
        )
        for label, figure in figures.items()
    ]
    places = [step * number for number in range(round(end / step) + 1)]
    ticks = [Tick(at=_percent(place, end), label=f"{place:.4g}") for place in places]
    return Plot(title=title, bars=bars, ticks=ticks)


def point_plot(
    title: str, figures: Mapping[str, tuple[float, float]], taken: str, target: float
) -> PointPlot:
    """Lay out operating points, with latency to the right and recall upwards, both logarithmic.

    Args:
        title: Heading of the plot.
        figures: Latency (ms, above 0) and recall by label.
        taken: Label of the point that the index serves with.
        target: Recall that is marked by a line.
    """
    times = [milliseconds for milliseconds, _ in figures.values()]
    first = math.floor(math.log10(min(times)))
    last = max(first + 1, math.ceil(math.log10(max(times))))

    def right(milliseconds: float) -> float:
        return _percent(math.log10(milliseconds) - first, last - first)

    def up(recall: float) -> float:
        return _percent(-math.log10(max(1 - recall, LEAST_MISSED)), -math.log10(LEAST_MISSED))

    points = [
        Point(label=label, x=right(milliseconds), y=up(recall), taken=label == taken)
        for label, (milliseconds, recall) in figures.items()
    ]
    decades = [10.0**power for power in range(first, last + 1)]
    recalls = [0, 0.5, 0.9, 0.99, 0.999, target]
    return PointPlot(
        title=title,
        points=points,
        x_ticks=[Tick(at=right(place), label=f"{place:g} ms") for place in decades],
        y_ticks=[Tick(at=up(place), label=f"{place:g}") for place in recalls],
    )


def speed_plot(title: str, figures: Mapping[str, tuple[float, float]], taken: str) -> PointPlot:
    """Lay out named points, with speed to the right and quality upwards, the best one first.

    Args:
        title: Heading of the plot.
        figures: Speed (above 0) and quality (in [0, 1]) by label.
        taken: Label of the point that is marked.
    """
    end = TICKS * round_step(max(speed for speed, _ in figures.values()))
    qualities = [quality for _, quality in figures.values()]
    low = math.floor(20 * min(qualities)) / 20
    high = max(math.ceil(20 * max(qualities)) / 20, low + 0.05)

    def up(quality: float) -> float:
        return _percent(quality - low, high - low)

    best_first = sorted(figures.items(), key=lambda item: -item[1][1])
    places = [low + 0.05 * step for step in range(round(20 * (high - low)) + 1)]
    return PointPlot(
        title=title,
        points=[
            Point(label=label, x=_percent(speed, end), y=up(quality), taken=label == taken)
            for label, (speed, quality) in best_first
        ],
        x_ticks=[
            Tick(at=100 * part / TICKS, label=f"{end * part / TICKS:g}")
            for part in range(TICKS + 1)
        ],
        y_ticks=[Tick(at=up(place), label=f"{place:.2f}") for place in places],
        named=True,
    )


def _percent(value: float, end: float) -> float:
    return round(100 * value / end, 2)


def round_step(largest: float) -> float:
    """Smallest step of 1, 2 or 5 × a power of ten of which `TICKS` reach the largest value."""
    if largest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(largest / TICKS))
    return next(
        factor * power for factor in (1, 2, 5, 10) if factor * power * TICKS >= largest * (1 - 1e-9)
    )

"""Layout of dots with intervals, a row for each group, and of curves in squares."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.report.plots import TICKS, Tick, round_step
from evaluation.intervals import Interval


@dataclass(frozen=True, kw_only=True)
class Dot:
    """A figure of one series with its interval, percent of the axis."""

    series: int
    x: float
    low: float
    high: float
    label: str


@dataclass(frozen=True, kw_only=True)
class DotRow:
    """The figures of one group."""

    label: str
    dots: Sequence[Dot]


@dataclass(frozen=True, kw_only=True)
class DotPlot:
    """Rows of dots that share an axis."""

    title: str
    series: Sequence[str]
    rows: Sequence[DotRow]
    ticks: Sequence[Tick]
    zero: float
    """Place of 0 on the axis, percent."""
    digits: int


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Points of one series, percent of the axes from the lower left, joined by a line."""

    series: int
    points: Sequence[tuple[float, float, str]]
    marked: bool


@dataclass(frozen=True, kw_only=True)
class Square:
    """Curves of two figures."""

    title: str
    across: str
    up: str
    curves: Sequence[Curve]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    diagonal: bool = False


def dot_plot(
    title: str,
    figures: Mapping[str, Mapping[str, Interval]],
    series: Sequence[str],
    *,
    digits: int = 3,
) -> DotPlot:
    """Lay out a row for each group, in the given order, on an axis that holds 0.

    Args:
        title: Heading of the plot.
        figures: Figures by group and series; a group may lack some.
        series: Names of the series, in the order of their colours.
        digits: Decimal places of figures.
    """
    every = [figure for row in figures.values() for figure in row.values()]
    low, high, step = axis(
        min((min(of["low"], of["value"]) for of in every), default=0.0),
        max((max(of["high"], of["value"]) for of in every), default=1.0),
        from_zero=True,
    )

    def place(value: float) -> float:
        return round(100 * (value - low) / (high - low), 2)

    rows = [
        DotRow(
            label=label,
            dots=[
                Dot(
                    series=series.index(name),
                    x=place(of["value"]),
                    low=place(of["low"]),
                    high=place(of["high"]),
                    label=f"{name}: {of['value']:.{digits}f} "
                    f"({of['low']:.{digits}f} to {of['high']:.{digits}f})",
                )
                for name, of in row.items()
            ],
        )
        for label, row in figures.items()
    ]
    return DotPlot(
        title=title,
        series=series,
        rows=rows,
        ticks=[Tick(at=place(at), label=f"{at:.4g}") for at in _steps(low, high, step)],
        zero=place(0.0),
        digits=digits,
    )


def square(
    title: str,
    across: str,
    up: str,
    curves: Mapping[int, Sequence[tuple[float, float, str]]],
    *,
    marked: bool = True,
    diagonal: bool = False,
) -> Square:
    """Lay out curves on axes that just hold them.

    Args:
        title: Heading.
        across: Name of the figure to the right.
        up: Name of the figure upwards.
        curves: Points (x, y, label) by number of the series.
        marked: Whether each point is drawn.
        diagonal: Whether the diagonal is drawn.
    """
    every = [point for points in curves.values() for point in points]
    xs, ys = [x for x, *_ in every], [y for _, y, _ in every]
    left, right, x_step = axis(min(xs), max(xs))
    low, high, y_step = axis(min(ys), max(ys))
    return Square(
        title=title,
        diagonal=diagonal,
        across=across,
        up=up,
        curves=[
            Curve(
                series=number,
                points=[
                    (
                        round(100 * (x - left) / (right - left), 2),
                        round(100 * (y - low) / (high - low), 2),
                        label,
                    )
                    for x, y, label in points
                ],
                marked=marked,
            )
            for number, points in curves.items()
        ],
        x_ticks=[
            Tick(at=round(100 * (at - left) / (right - left), 2), label=f"{at:.4g}")
            for at in _steps(left, right, x_step)
        ],
        y_ticks=[
            Tick(at=round(100 * (at - low) / (high - low), 2), label=f"{at:.4g}")
            for at in _steps(low, high, y_step)
        ],
    )


def axis(low: float, high: float, *, from_zero: bool = False) -> tuple[float, float, float]:
    """Ends of an axis at round numbers, and the step between its ticks."""
    if from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    step = round_step(high - low)
    start, end = step * math.floor(low / step + 1e-9), step * math.ceil(high / step - 1e-9)
    return start, max(end, start + step), step


def _steps(low: float, high: float, step: float) -> list[float]:
    count = round((high - low) / step)
    return [round(low + number * step, 10) for number in range(count + 1)][: TICKS + 3]

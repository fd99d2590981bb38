"""Lines of figures over a few steps, such as shares of the data; the template draws them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.report.plots import Tick, bar_plot
from benchmarks.report.templates import environment
from evaluation.intervals import Interval


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A figure with its interval, placed in percent of the axes from the lower left."""

    label: str
    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Line:
    """Figures of one system."""

    name: str
    marks: Sequence[Mark]


@dataclass(frozen=True, kw_only=True)
class LinePlot:
    """Lines that share a vertical axis from 0 and a step a column."""

    title: str
    lines: Sequence[Line]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]

    @classmethod
    def of(cls, title: str, figures: Mapping[str, Mapping[str, Interval]]) -> "LinePlot":
        """Lay out the figures of systems by step; names with a minus sign are differences.

        Args:
            title: Heading of the plot.
            figures: Non-negative figures by step and system; each step has every system.
        """
        steps = list(figures)
        names = [name for name in figures[steps[0]] if "−" not in name]
        flat = {f"{step}, {name}": figures[step][name] for name in names for step in steps}
        laid = bar_plot(title, flat)
        places = [round(100 * (2 * at + 1) / (2 * len(steps)), 2) for at in range(len(steps))]
        marks = [
            Mark(
                label=f"{bar.label}: {bar.value:.4f}", x=x, y=bar.length, low=bar.low, high=bar.high
            )
            for bar, x in zip(laid.bars, places * len(names), strict=True)
        ]
        size = len(steps)
        lines = [
            Line(name=name, marks=marks[size * number : size * (number + 1)])
            for number, name in enumerate(names)
        ]
        ticks = [Tick(at=place, label=step) for place, step in zip(places, steps, strict=True)]
        return cls(title=title, lines=lines, x_ticks=ticks, y_ticks=laid.ticks)


def rendered(plots: Sequence[LinePlot]) -> str:
    """A picture of plots below one another."""
    return environment().get_template("lines.svg.j2").render(plots=plots)

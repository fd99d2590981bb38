"""Picture of calibration: predicted probability against what happened, in squares."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.report.templates import environment

SIDE, GAP = 260, 60
"""Side of a square and the space between two, pixels"""
OF_VALUES = "Probability of a value and how often the next item has it"
OF_ITEMS = "Probability of an item and how often it is among the next ones"
LARGEST = 9.0
"""Radius of the bin with most predictions, pixels"""


def write_picture(path: Path, attributes: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the reliability of all listed values, one square for each attribute.

    Args:
        path: SVG file to write.
        attributes: Figures of each attribute, as `profile_figures.score` returns them.
    """
    of_all = {name: of["calibration of all listed values"] for name, of in attributes.items()}
    path.write_text(picture(OF_VALUES, of_all))


def picture(title: str, figures: Mapping[str, Mapping[str, Any]], *, inline: bool = False) -> str:
    """SVG with one square for each group of predictions.

    Args:
        title: Title for readers of the screen.
        figures: For each group, `error` and `bins` as of `evaluation.calibration`.
        inline: Whether it becomes part of an HTML page.
    """
    squares = [
        {
            "left": GAP + place * (SIDE + GAP),
            "name": name,
            "error": of["error"],
            "points": _points(of["bins"]),
        }
        for place, (name, of) in enumerate(figures.items())
    ]
    template = environment().get_template("reliability.svg.j2")
    width = GAP + len(squares) * (SIDE + GAP)
    return template.render(title=title, squares=squares, side=SIDE, width=width, inline=inline)


def _points(bins: list[dict[str, Any]]) -> list[dict[str, Any]]:
    most = max((one["count"] for one in bins), default=1)
    return [
        {
            "x": 100 * one["predicted"],
            "y": 100 - 100 * one["happened"],
            "radius": 2 + (LARGEST - 2) * (one["count"] / most) ** 0.5,
            "label": f"{one['predicted']:.3f} predicted, {one['happened']:.3f} happened, "
            f"{one['count']:,} predictions",
        }
        for one in bins
    ]

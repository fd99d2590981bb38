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
ENDS = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Probabilities at which a square may end"""


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
    squares = []
    for place, (name, of) in enumerate(figures.items()):
        end = _end(of["bins"])
        squares.append(
            {
                "left": GAP + place * (SIDE + GAP),
                "name": name,
                "error": of["error"],
                "end": f"{end:g}",
                "points": _points(of["bins"], end),
            }
        )
    template = environment().get_template("reliability.svg.j2")
    width = GAP + len(squares) * (SIDE + GAP)
    return template.render(title=title, squares=squares, side=SIDE, width=width, inline=inline)


def _end(bins: list[dict[str, Any]]) -> float:
    """The least end of a square that holds every bin."""
    most = max((max(one["predicted"], one["happened"]) for one in bins), default=0.0)
    return next(end for end in ENDS if most <= end)


def _points(bins: list[dict[str, Any]], end: float) -> list[dict[str, Any]]:
    most = max((one["count"] for one in bins), default=1)
    return [
        {
            "x": 100 * one["predicted"] / end,
            "y": 100 - 100 * one["happened"] / end,
            "radius": 2 + (LARGEST - 2) * (one["count"] / most) ** 0.5,
            "label": f"{one['predicted']:.3f} predicted, {one['happened']:.3f} happened, "
            f"{one['count']:,} predictions",
        }
        for one in bins
    ]

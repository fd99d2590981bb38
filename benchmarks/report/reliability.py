"""Picture of calibration: predicted probability against what happened, one square an attribute."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.report.templates import environment

SIDE, GAP = 260, 60
"""Side of a square and the space between two, pixels"""
LARGEST = 9.0
"""Radius of the bin with most predictions, pixels"""


def write_picture(path: Path, attributes: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the reliability of all listed values, one square for each attribute.

    Args:
        path: SVG file to write.
        attributes: Figures of each attribute, as `profile_figures.score` returns them.
    """
    squares = [
        {
            "left": GAP + place * (SIDE + GAP),
            "name": name,
            "error": figures["calibration of all listed values"]["error"],
            "points": _points(figures["calibration of all listed values"]["bins"]),
        }
        for place, (name, figures) in enumerate(attributes.items())
    ]
    template = environment().get_template("reliability.svg.j2")
    width = GAP + len(squares) * (SIDE + GAP)
    path.write_text(template.render(squares=squares, side=SIDE, width=width))


def _points(bins: list[dict[str, Any]]) -> list[dict[str, Any]]:
    most = max((one["count"] for one in bins), default=1)
    return [
        {
            "x": 100 * one["predicted"],
            "y": 100 - 100 * one["happened"],
            "radius": 2 + (LARGEST - 2) * (one["count"] / most) ** 0.5,
            "label": f"{one['predicted']:.3f} predicted, {one['happened']:.3f} happened, "
            f"{one['count']:,} values",
        }
        for one in bins
    ]

"""`python -m benchmarks.index.operating_points`: rebuild the index; show every operating point."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.command import configuration, folders, parser
from benchmarks.report.plots import PointPlot, point_plot
from benchmarks.report.templates import environment
from index.config import IndexConfig
from index.stage import CURVE, LATENCY, POINT, RECALL, build
from lineage.cli import configure_logging, reported_errors, run
from lineage.manifest import read_manifest
from lineage.stages import INDEX

logger = logging.getLogger("benchmarks.index.operating_points")
PLOT = "operating-points.svg"


def main() -> None:
    """Rebuild the index of a dataset, tune it, and print and draw the operating points."""
    options = parser(
        "python -m benchmarks.index.operating_points",
        "Rebuild the index, tuned on this machine.",
        IndexConfig,
    )
    parsed = options.parse_args()
    configure_logging()
    with reported_errors():
        arguments = options.instantiate(parsed)
        config = configuration(arguments, IndexConfig)
        root, reports = folders(arguments)
        run(INDEX, config, root, build, force=True)
        facts = read_manifest(root / INDEX, INDEX).facts
        Console().print(points_table(root.name, facts))
        reports.mkdir(parents=True, exist_ok=True)
        draw(reports / PLOT, plot_of(root.name, facts, config.target_recall))


def points_table(name: str, facts: Mapping[str, Any]) -> Table:
    """Table of the operating points, fastest first; the chosen one is bold.

    Args:
        name: Name of the dataset.
        facts: Facts of the index stage.
    """
    title = f"{name}: {facts['kind']} index over {facts['items']:,} items"
    table = Table(POINT, RECALL, LATENCY, title=title)
    for point in sorted(facts[CURVE], key=lambda point: point[LATENCY]):
        style = "bold" if point[POINT] == facts[POINT] else None
        table.add_row(
            point[POINT] or "exact", f"{point[RECALL]:.4f}", f"{point[LATENCY]:.3f}", style=style
        )
    return table


def plot_of(name: str, facts: Mapping[str, Any], target: float) -> PointPlot:
    """Plot of recall over latency of an index stage's operating points."""
    return point_plot(
        f"{name}: {RECALL} over the median latency of one query",
        {point[POINT]: (point[LATENCY], point[RECALL]) for point in facts[CURVE]},
        facts[POINT],
        target,
    )


def draw(path: Path, plot: PointPlot) -> None:
    """Write a plot as a self-contained SVG file."""
    picture = environment().get_template("operating_points.svg.j2").render(plot=plot)
    path.write_text(picture, encoding="utf-8")
    logger.info("plot: %s", path)


if __name__ == "__main__":
    main()

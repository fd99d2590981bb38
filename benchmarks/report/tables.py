"""Tables of results for the terminal."""

from collections.abc import Mapping

from rich.table import Table

from benchmarks.report.report import Report
from evaluation.intervals import Interval


def results_table(report: Report) -> Table:
    """Table with one row per system: values ± half of the 95% interval; the best are bold."""
    table = Table(title=f"{report.dataset}: {report.users:,} users, history {report.history}")
    table.add_column("system")
    for metric in report.metrics:
        table.add_column(metric, justify="right")
    for name, metrics in report.systems.items():
        cells = []
        for metric in report.metrics:
            figure = metrics[metric]
            half = (figure["high"] - figure["low"]) / 2
            cell = f"{figure['value']:.4f} ±{half:.4f}"
            cells.append(f"[bold]{cell}[/bold]" if report.best(metric) == name else cell)
        table.add_row(name, *cells)
    return table


def intervals_table(title: str, systems: Mapping[str, Mapping[str, Interval]]) -> Table:
    """Table with one row per system: values with 95% intervals; empty where it lacks a metric."""
    metrics = list(dict.fromkeys(metric for figures in systems.values() for metric in figures))
    table = Table("", *metrics, title=title)
    for name, figures in systems.items():
        cells = [
            f"{i['value']:.4f} ({i['low']:.4f} to {i['high']:.4f})"
            if (i := figures.get(metric))
            else ""
            for metric in metrics
        ]
        table.add_row(name, *cells)
    return table

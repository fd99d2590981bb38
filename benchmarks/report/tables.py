"""Tables of results in a terminal."""

from collections.abc import Mapping

from rich.table import Table

from benchmarks.report.report import Report
from evaluation.intervals import Interval


def results_table(report: Report) -> Table:
    """One row a system, its value and half the width of its 95% interval; the best is bold."""
    table = Table(title=f"{report.dataset}: {report.users:,} users, history {report.history}")
    table.add_column("system")
    for metric in report.metrics:
        table.add_column(metric, justify="right")
    for name, metrics in report.systems.items():
        cells = []
        for metric in report.metrics:
            found = metrics[metric]
            half = (found["high"] - found["low"]) / 2
            cell = f"{found['value']:.4f} ±{half:.4f}"
            cells.append(f"[bold]{cell}[/bold]" if report.best(metric) == name else cell)
        table.add_row(name, *cells)
    return table


def intervals_table(title: str, systems: Mapping[str, Mapping[str, Interval]]) -> Table:
    """One row a system, its values with their 95% intervals; empty where it has none."""
    metrics = list(dict.fromkeys(metric for found in systems.values() for metric in found))
    table = Table("", *metrics, title=title)
    for name, found in systems.items():
        cells = [
            f"{i['value']:.4f} ({i['low']:.4f} to {i['high']:.4f})"
            if (i := found.get(metric))
            else ""
            for metric in metrics
        ]
        table.add_row(name, *cells)
    return table

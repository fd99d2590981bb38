"""The results table in a terminal."""

from rich.table import Table

from benchmarks.report import Report


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

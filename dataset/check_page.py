"""The page of `python -m dataset check`: what was understood of a source, for the terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lineage.counted import counted

if TYPE_CHECKING:
    from dataset.prepare.check import CheckReport, TableReport
    from dataset.prepare.cleaning import Dropped

SHOWN_ACTIONS = 20


def page(report: "CheckReport") -> RenderableType:
    """The report as headlines, tables and lines."""
    parts: list[RenderableType] = []
    for name, table in report.tables.items():
        parts += _columns(name, table)
    if report.items:
        parts += _figures(report)
    if report.warnings:
        parts += [
            _headline("Warnings"),
            *(_line(f"· {line}", "yellow") for line in report.warnings),
        ]
    if report.broken:
        parts += [_headline("Broken rules"), *(_line(line, "red") for line in report.broken)]
    else:
        parts.append(Text("No rule is broken.", style="bold green"))
    return Group(*parts)


def _columns(name: str, table: "TableReport") -> list[RenderableType]:
    files = counted(max(table.files, 1), "file")
    line = f"{table.path}: {table.format}, {files}, {table.megabytes:,.1f} MB, "
    line += counted(table.rows, "row")
    rows = [
        (
            column.name if column.name == column.named else f"{column.named} → {column.name}",
            column.type,
            column.use,
            column.example,
        )
        for column in table.columns
    ]
    return [
        _headline(name.capitalize()),
        Text(line),
        _table(("column", "type", "used as", "example"), rows),
    ]


def _figures(report: "CheckReport") -> list[RenderableType]:
    lines = {
        "users": f"{report.users:,}",
        "items": f"{report.items:,}",
        "interactions": f"{report.interactions:,} ({_counts(report.splits)})",
        "times": " to ".join(report.times) + " UTC" if report.times else "none",
        "actions": _actions(report, report.actions) or "none",
        "of unknown items": f"{report.unknown_items or 0:.1%} of the interactions before cleaning",
    }
    if report.without_user:
        lines["actions without a user"] = _actions(report, report.without_user)
    return [
        _headline("After cleaning"),
        _table(("", ""), lines.items(), header=False),
        _headline("Dropped"),
        dropped_table(report.dropped),
    ]


def dropped_table(steps: Sequence["Dropped"]) -> Table:
    """Rows that each rule dropped, and the users who lost most by a cap."""
    columns = ["table", "rule", "rows in", "rows out", "dropped rows"]
    rows = [
        [step.table, step.rule, *(f"{n:,}" for n in (step.rows_in, step.rows_out, step.rows))]
        for step in steps
    ]
    if any(step.lost.users for step in steps):
        columns.append("users who lost most")
        rows = [[*row, _counts(step.lost.most)] for row, step in zip(rows, steps, strict=True)]
    return _table(columns, rows)


def _actions(report: "CheckReport", counts: Mapping[str, int]) -> str:
    """Counts of the most frequent actions, with their weights where there are several."""
    shown = dict(list(counts.items())[:SHOWN_ACTIONS])
    weights = report.action_weights
    if len(weights) < 2:
        return _counts(shown)
    return ", ".join(
        f"{name or 'no name'} {count:,} ({weights[name]})"
        if name in weights
        else _counts({name: count})
        for name, count in shown.items()
    )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name or 'no name'} {count:,}" for name, count in counts.items())


def _line(text: str, style: str) -> Text:
    """A line of text; unbroken if it has options to paste, which a break would spoil."""
    pasted = "`columns: {" in text or "`compute: {" in text
    return Text(text, style=style, no_wrap=pasted, overflow="ignore" if pasted else None)


def _headline(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]], *, header: bool = True) -> Table:
    table = Table(show_header=header)
    for name in columns:
        table.add_column(name, overflow="fold", justify="right" if "row" in name else "left")
    for row in rows:
        table.add_row(*map(Text, row))  # Text: brackets in values are not markup
    return table

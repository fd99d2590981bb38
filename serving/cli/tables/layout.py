"""The layout of every table."""

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

NUMBER, WHOLE = "number", "whole"
"""Layouts of a column: right-aligned, or never wrapped; otherwise long text is wrapped."""


def table(
    title: str,
    columns: Mapping[str, str],
    rows: Iterable[Sequence[str]],
    *,
    notes: Sequence[str] = (),
) -> RenderableType:
    """A headline, a table, and notes below it: the common layout of all commands.

    Args:
        title: Headline; empty for none.
        columns: Layout of each column by its header; blank headers only hide the header row.
        rows: Cells of each row.
        notes: Lines below the table.
    """
    body = Table(show_header=any(header.strip() for header in columns))
    for header, layout in columns.items():
        body.add_column(
            header.strip(),
            justify="right" if layout == NUMBER else "left",
            no_wrap=layout == WHOLE,
            overflow="fold",
        )
    for cells in rows:
        body.add_row(*map(Text, cells))  # Text: brackets in titles are not markup
    headline = [Text(title, style="bold")] if title else []
    return Group(*headline, body, *(Text(note, style="dim") for note in notes))

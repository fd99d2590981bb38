"""Rows that hold nothing, such as the empty lines of a spreadsheet."""

import polars as pl

from dataset.prepare.cleaning import Dropped
from dataset.prepare.schema import is_string
from dataset.prepare.tables.files import Files
from dataset.prepare.tables.scan import PLACE

RULE = "blank rows"


def without_blank_rows(
    frame: pl.LazyFrame, files: Files, table: str
) -> tuple[pl.LazyFrame, list[Dropped]]:
    """A table without rows whose cells are all empty, and how many there were.

    Reads the table once; of Parquet first one column, which mostly shows that no row is blank.
    Cells of blanks alone are empty, and so are lines between two objects of JSON Lines. Columns
    that the path states, such as `country=DE/`, do not count.

    Args:
        frame: All rows of the files.
        files: The files.
        table: `items` or `interactions`.

    Returns:
        The other rows; nothing to report if all rows hold something.
    """
    cells = [
        _is_empty(name, kind)
        for name, kind in frame.collect_schema().items()
        if name != PLACE and not _is_of_path(name, files)
    ]
    if not cells or (files.format == "parquet" and not _any(frame, cells[0])):
        return frame, []
    blank = pl.all_horizontal(cells)
    rows, found = frame.select(pl.len(), blank.sum().alias(RULE)).collect().row(0)
    lines = _blank_lines(files) if files.format == "jsonl" else 0
    if not found + lines:
        return frame, []
    step = Dropped(table=table, rule=RULE, rows_in=rows + lines, rows_out=rows - found)
    return frame.filter(~blank), [step]


def _is_empty(name: str, kind: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if kind.is_float():
        return column.is_null() | column.is_nan()
    if not is_string(kind):
        return column.is_null()
    return column.is_null() | (column.cast(pl.String).str.strip_chars() == "")


def _is_of_path(name: str, files: Files) -> bool:
    """Whether a column is part of the path of Parquet files, and in no row."""
    folders = (folder for part in files.parts for folder in part.parts[:-1])
    return files.format == "parquet" and any(folder.startswith(f"{name}=") for folder in folders)


def _any(frame: pl.LazyFrame, cell: pl.Expr) -> bool:
    return bool(frame.select(cell.any()).collect().item())


def _blank_lines(files: Files) -> int:
    """Lines without an object, which no row stands for."""
    empty = (pl.col("line").str.strip_chars() == "").sum()
    parts = [pl.scan_lines(part, glob=False).select(empty) for part in files.parts]
    return sum(frame.item() for frame in pl.collect_all(parts))

"""Reads the files of a table with polars."""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl

from dataset.prepare.tables.content import require_content
from dataset.prepare.tables.files import Files, compression_of
from dataset.prepare.validation import InputError, reading

DELIMITERS = ",;\t|"
PLACE = "\0place"
"""Column with the place of each row: its part times `PART`, plus its row in the part, from 0"""
PART = 1 << 40


def scanned(files: Files, *, delimiter: str = "", places: bool = False) -> pl.LazyFrame:
    """Rows of all parts, not read yet; a column that a part lacks is null there.

    Args:
        files: The parts.
        delimiter: Separates the columns of CSV; empty to detect it in each file's first line.
        places: Whether the first column is `PLACE`; blank lines of CSV count as rows in it.

    Returns:
        CSV has columns of strings alone, `text_types` finds the others. Its blank lines are rows of
        nulls, which `blank_rows` leaves out.

    Raises:
        InputError: the content of a part is not what its name says, or cannot be read.
    """
    place = PLACE if places else None
    readers: dict[str, Callable[[Path, bytes], pl.LazyFrame]] = {
        "parquet": lambda part, _: pl.scan_parquet(
            part, glob=False, hive_partitioning="=" in str(part), row_index_name=place
        ),
        "csv": lambda part, head: _csv_with_blanks(part, delimiter, head, place),
        "jsonl": lambda part, _: _json_lines(part, place),
    }
    frames = []
    for number, part in enumerate(files.parts):
        head = require_content(part, files.format)
        with reading(part):
            frame = readers[files.format](part, head)
            frame.collect_schema()
        if places:
            frame = frame.with_columns(pl.col(PLACE).cast(pl.Int64) + number * PART)
        frames.append(frame)
    return frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal_relaxed")


def delimiter_of(head: str) -> str:
    """The delimiter that splits a CSV's first line into the most columns."""
    lines = head.removeprefix("\ufeff").lstrip("\r\n").splitlines()
    widths = {mark: len(next(csv.reader(lines, delimiter=mark), [])) for mark in DELIMITERS}
    return max(DELIMITERS, key=lambda mark: widths[mark])


def rows_of(
    files: Files, *, delimiter: str = ""
) -> Iterator[tuple[Path, int, dict[str, str | None]]]:
    """Rows of CSV parts with file and line number, from 1; blank lines are left out."""
    for part in files.parts:
        head = require_content(part, files.format)
        with reading(part):
            rows = _csv_with_blanks(part, delimiter, head).collect()
        line = 1 + header_lines(head, delimiter)
        for row in rows.iter_rows(named=True):
            if any(value is not None for value in row.values()):
                yield part, line, row
            line += 1 + sum(value.count("\n") for value in row.values() if value)


def lines_of(files: Files) -> Iterator[tuple[Path, int, str]]:
    """Lines of JSON Lines parts with file and line number, from 1; blank ones are left out."""
    for part in files.parts:
        require_content(part, files.format)
        with reading(part):
            lines = pl.scan_lines(part, glob=False).collect()["line"]
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield part, number, line


def header_lines(head: bytes, delimiter: str = "") -> int:
    """Lines of a CSV file up to the end of its header: blank ones before it, and those within it.

    Args:
        head: Beginning of the file, decompressed.
        delimiter: Separates the columns; empty to detect it.
    """
    text = head.decode(errors="replace").removeprefix("\ufeff")
    separator = delimiter or delimiter_of(text)
    rows = csv.reader(text.splitlines(keepends=True), delimiter=separator)
    for row in rows:
        if row:
            break
    return max(rows.line_num, 1)


def line_breaks(part: Path, delimiter: str, rows: int) -> tuple[int, pl.Series]:
    """Lines of a CSV file up to its header's end, and the breaks in the cells of its first rows."""
    head = require_content(part, "csv")
    with reading(part):
        cells = _csv_with_blanks(part, delimiter, head).head(rows)
        breaks = pl.sum_horizontal(pl.all().str.count_matches("\n", literal=True))
        return header_lines(head, delimiter), cells.select(breaks).collect().to_series()


def _csv_with_blanks(
    part: Path, delimiter: str, head: bytes, place: str | None = None
) -> pl.LazyFrame:
    """Rows of a CSV file as strings; a blank line is a row of nulls."""
    separator = delimiter or delimiter_of(head.decode(errors="replace"))
    return pl.scan_csv(
        part, separator=separator, infer_schema=False, glob=False, row_index_name=place
    )


def _json_lines(part: Path, place: str | None) -> pl.LazyFrame:
    """All lines decide on the types, so that a number may turn out to be a string late."""
    try:
        schema = pl.scan_ndjson(part, infer_schema_length=None).collect_schema()
    except pl.exceptions.ComputeError as error:
        raise _bad_line(part) or error from error
    return pl.scan_ndjson(part, schema=schema, row_index_name=place)


def _bad_line(part: Path) -> InputError | None:
    """Error of the first line that is no JSON object; None if all are."""
    files = Files(path=part, parts=(part,), format="jsonl")
    for _, number, line in lines_of(files):
        try:
            found = type(json.loads(line)).__name__
        except ValueError as error:
            found = str(error)
        if found != "dict":
            packing = f" (in the unpacked {compression_of(part)})" if compression_of(part) else ""
            return InputError(
                f"{part}, line {number}{packing}: must be one JSON object, got {found}"
            )
    return None

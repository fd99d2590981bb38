"""Refuses bad input before any work, and shows the rows that break a rule."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from dataset.interaction_codes import DAY

SHOWN = 5
PRINTED = 365 * 200_000
"""Days from 1970 within which polars can print a date; it reaches 262,000 years"""


class InputError(ValueError):
    """A source breaks a rule; names file, column and rule, and shows the first rows."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows that are not read yet, and their file."""

    frame: pl.LazyFrame
    path: Path


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A condition on every row of a column."""

    column: str
    must: str
    """The end of the sentence "column must …"."""
    broken: pl.Expr
    """True in the rows that break the rule."""


def require_columns(table: Table, names: Sequence[str]) -> None:
    """Refuse a table that lacks one of the columns.

    Raises:
        InputError: a column is missing; names it and the existing columns.
    """
    schema = read_schema(table)
    for name in names:
        if name not in schema:
            raise InputError(
                f"{table.path}: column {name!r} must exist, got the columns {list(schema)}"
            )


def require_type(
    table: Table, column: str, must: str, accepted: Callable[[pl.DataType], bool]
) -> None:
    """Refuse a column whose type is not accepted.

    Raises:
        InputError: the type is not accepted; names column and type, and shows the first rows.
    """
    kind = read_schema(table)[column]
    if not accepted(kind):
        with reading(table.path):
            rows = table.frame.select(column).head(SHOWN).collect()
        raise InputError(
            f"{table.path}: column {column!r} must {must}, got {kind}\n{first_rows(rows)}"
        )


def require_rows(table: Table) -> None:
    """Refuse a table without rows.

    Raises:
        InputError: the table has no rows.
    """
    with reading(table.path):
        empty = table.frame.select(pl.len()).head(1).collect().item() == 0
    if empty:
        raise InputError(f"{table.path}: the table must have rows, got none")


def require(table: Table, rules: Sequence[Rule]) -> None:
    """Refuse a table that breaks a rule; checks all rules in one pass.

    Raises:
        InputError: a rule is broken; names the first one and its column, and shows rows.
    """
    broken = [
        table.frame.select(rule.column, broken=rule.broken)
        .with_row_index("row")
        .filter("broken")
        .drop("broken")
        for rule in rules
    ]
    with reading(table.path):
        for rule, rows in zip(rules, pl.collect_all(broken), strict=True):
            if len(rows):
                raise InputError(
                    f"{table.path}: column {rule.column!r} must {rule.must}, "
                    f"got {len(rows):,} rows that break it; the first are:\n{first_rows(rows)}"
                )


def read_schema(table: Table) -> pl.Schema:
    """Names and types of a table's columns.

    Raises:
        InputError: the file is missing or of another format.
    """
    with reading(table.path):
        return table.frame.collect_schema()


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raise errors of reading a file as InputError that names the file."""
    try:
        yield
    except (pl.exceptions.ComputeError, OSError) as error:
        raise InputError(
            f"{path}: must be a readable {path.suffix[1:]} file, got: {error}"
        ) from error


def first_rows(rows: pl.DataFrame) -> str:
    """The first rows as plain text."""
    with pl.Config(
        tbl_formatting="ASCII_MARKDOWN",
        tbl_hide_dataframe_shape=True,
        tbl_hide_column_data_types=True,
        fmt_str_lengths=60,
    ):
        return str(rows.head(SHOWN).select(_printable(column) for column in rows.head(SHOWN)))


def _printable(column: pl.Series) -> pl.Series:
    """The column, or the numbers behind its dates if polars cannot print one."""
    if column.dtype not in (pl.Date, pl.Datetime):
        return column
    in_day = {"ns": 1e9 * DAY, "us": 1e6 * DAY, "ms": 1e3 * DAY}
    days = column.to_physical().cast(pl.Float64) / in_day.get(
        getattr(column.dtype, "time_unit", ""), 1.0
    )
    return column if days.is_between(-PRINTED, PRINTED).all() else column.to_physical()

"""Bad input is refused before anything is made of it, with the rows that are at fault."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

SHOWN = 5


class InputError(ValueError):
    """A source breaks a rule; says which file, column and rule, and shows the first rows."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows that have not been read yet, and the file that they will come from."""

    frame: pl.LazyFrame
    path: Path


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What must hold for every row of a column."""

    column: str
    must: str
    """Ends the sentence "column must …"."""
    broken: pl.Expr
    """True in the rows at fault."""


def require_columns(table: Table, names: Sequence[str]) -> None:
    """Refuse a table that lacks one of the columns.

    Raises:
        InputError: names the column and those that are there.
    """
    schema = read_schema(table)
    for name in names:
        if name not in schema:
            raise InputError(
                f"{table.path}: column {name!r} must be there, got the columns {list(schema)}"
            )


def require_type(
    table: Table, column: str, must: str, accepted: Callable[[pl.DataType], bool]
) -> None:
    """Refuse a column of another type.

    Raises:
        InputError: names the column and its type, and shows the first rows.
    """
    kind = read_schema(table)[column]
    if not accepted(kind):
        with reading(table.path):
            rows = table.frame.select(column).head(SHOWN).collect()
        raise InputError(f"{table.path}: column {column!r} must {must}, got {kind}\n{shown(rows)}")


def require_some(table: Table) -> None:
    """Refuse a table without rows.

    Raises:
        InputError: it has none.
    """
    with reading(table.path):
        empty = table.frame.select(pl.len()).head(1).collect().item() == 0
    if empty:
        raise InputError(f"{table.path}: the table must have rows, got none")


def require(table: Table, rules: Sequence[Rule]) -> None:
    """Refuse a table that breaks a rule; the rules are checked in one pass, reported in order.

    Raises:
        InputError: names the column and the rule, and shows the first rows at fault.
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
                    f"got {len(rows):,} rows that break it, first of all\n{shown(rows)}"
                )


def read_schema(table: Table) -> pl.Schema:
    """Names and types of a table's columns.

    Raises:
        InputError: the file is missing or not what its name says.
    """
    with reading(table.path):
        return table.frame.collect_schema()


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong while a file is read into an input error that names it."""
    try:
        yield
    except (pl.exceptions.ComputeError, OSError) as error:
        raise InputError(
            f"{path}: must be a readable {path.suffix[1:]} file, got: {error}"
        ) from error


def shown(rows: pl.DataFrame) -> str:
    """The first rows as plain text."""
    with pl.Config(
        tbl_formatting="ASCII_MARKDOWN",
        tbl_hide_dataframe_shape=True,
        tbl_hide_column_data_types=True,
        fmt_str_lengths=60,
    ):
        return str(rows.head(SHOWN))

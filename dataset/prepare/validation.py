"""Collects the rules that a table breaks, with the rows that break them, and refuses it for all."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from dataset.interaction_codes import DAY
from dataset.prepare.cleaning import Dropped
from dataset.prepare.drop_remedy import Offered, drop_condition
from lineage.counted import counted
from lineage.yaml_lines import option_line

EXPORT = "; export it, or map the column that has it by `columns` in data.yaml"
SHOWN, _ROW = 5, "row"
PRINTED = 365 * 200_000
"""Days from 1970 within which polars can print a date; it reaches 262,000 years"""


class InputError(ValueError):
    """A source breaks rules; names file, column, rule and remedy, and shows the first rows."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What was found in a table so far; each check adds to it."""

    broken: list[str] = field(default_factory=list)
    """One message for each broken rule."""
    columns: set[str] = field(default_factory=set)
    """Columns that later rules cannot be checked on: missing, or of the wrong type."""
    notes: list[str] = field(default_factory=list)
    """Warnings: columns that cannot be used, and why."""
    guesses: dict[str, str] = field(default_factory=dict)
    """Our names of columns that probably are ours under another name, by those."""
    unused: dict[str, str] = field(default_factory=dict)
    """Why a column is not used, by its name in the file."""
    drops: list[Offered] = field(default_factory=list)
    """Rules of `drop` that would leave out rows which break a rule."""
    dropped: list[Dropped] = field(default_factory=list)
    """Rows that were left out before cleaning."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows that are not read yet, their files, and what was found in them."""

    frame: pl.LazyFrame
    path: Path
    files: tuple[Path, ...]
    kind: str = ""
    """Format of the files, as `tables.files` calls it."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Name in the file of each renamed column."""
    own: tuple[str, ...] = ()
    """Columns as the files name them."""
    places: Callable[[Sequence[int]], pl.Series] | None = None
    """Finds rows of the table in its files, see `tables.places`; None if no file has such rows."""
    shared: bool = False
    """Whether the same files hold the other table, too."""
    findings: Findings = field(default_factory=Findings)
    """Shared by all forms of the table."""

    def refuse(self, message: str) -> None:
        """Add a broken rule to the findings."""
        self.findings.broken.append(f"{self.path}: {message}")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A condition on every row of a column."""

    column: str
    must: str
    """The end of the sentence "column must …"."""
    broken: pl.Expr
    """True in the rows that break the rule."""
    remedy: str = ""
    """What to do about it, as a command."""
    drop: str = ""
    """Name of the drop rule that may leave such rows out; empty if they are to be mended."""
    may_stay: bool = False
    """Whether the remedy keeps such rows, so that to drop them is the second choice."""


def require_columns(table: Table, names: Sequence[str]) -> None:
    """Find the missing ones of some columns; says which existing column may be meant."""
    schema = read_schema(table)
    for name in names:
        if name not in schema:
            table.findings.columns.add(name)
            table.refuse(
                f"column {name!r} must exist, got the columns {list(schema)}"
                f"{suggestion(table, name) or EXPORT}"
            )


def suggestion(table: Table, name: str) -> str:
    """The end of an error about a missing column: the one that is guessed; empty without one."""
    near = guess(table, name)
    return f"; map {near!r} to it by `columns`, if that is meant" if near else ""


def guess(table: Table, name: str) -> str | None:
    """The column that is guessed to be one of ours."""
    return next((theirs for theirs, ours in table.findings.guesses.items() if ours == name), None)


def require_type(
    table: Table,
    column: str,
    must: str,
    accepted: Callable[[pl.DataType], bool],
    *,
    remedy: str = "",
) -> None:
    """Find a column whose type is not accepted; says the type and shows the first rows."""
    kind = read_schema(table).get(column)
    if kind is None or accepted(kind):
        return
    with reading(table.path):
        rows = table.frame.select(column).head(SHOWN).collect()
    table.findings.columns.add(column)
    found = "no value" if kind == pl.Null else str(kind)
    said = f"; {remedy}" if remedy else ""
    table.refuse(f"column {column!r} must {must}, got {found}{said}\n{first_rows(rows)}")


def require_rows(table: Table) -> None:
    """Find a table without rows."""
    with reading(table.path):
        empty = table.frame.select(pl.len()).head(1).collect().item() == 0
    if empty:
        table.refuse("the table must have rows, got none; export it again")


def require(table: Table, rules: Sequence[Rule]) -> None:
    """Find the rules that rows break, in one pass; shows the first rows of each."""
    checked = [rule for rule in rules if rule.column not in table.findings.columns]
    with reading(table.path):
        counts = [rule.broken.sum().alias(str(place)) for place, rule in enumerate(checked)]
        rows, *broken = table.frame.select(pl.len(), *counts).collect().row(0)
        for rule, count in zip(checked, broken, strict=True):
            if count:
                _refuse(table, rule, count, everywhere=count == rows)


def _refuse(table: Table, rule: Rule, count: int, *, everywhere: bool) -> None:
    marked = table.frame.select(rule.column, broken=rule.broken).with_row_index(_ROW)
    broken = marked.filter("broken").drop("broken")
    first = broken.head(SHOWN).collect()
    rows = first[_ROW].to_list()
    places = pl.Series(_ROW, rows) + 1 if table.places is None else table.places(rows)
    if places.name == rule.column:
        places = places.alias(f"{places.name} of the file")
    first = first.drop(_ROW).insert_column(0, places)
    remedies = [rule.remedy] if rule.remedy else []
    named = table.names.get(rule.column, rule.column)
    if rule.drop and not everywhere and named in table.own:
        values = broken.select(pl.col(rule.column).unique()).head(2).collect().to_series()
        if condition := drop_condition(named, values):
            offered = Offered(name=rule.drop, condition=condition, rows=count)
            if rule.may_stay:
                remedies.append(_second_choice(offered))
            else:
                table.findings.drops.append(offered)
    said = "".join(f"; {remedy}" for remedy in remedies)
    table.refuse(
        f"column {rule.column!r} must {rule.must}, got {counted(count, 'row')} that "
        f"{'breaks' if count == 1 else 'break'} it{said}; the first are:\n{first_rows(first)}"
    )


def _second_choice(offered: Offered) -> str:
    added = option_line(offered.name, offered.condition)
    return f"or lose {counted(offered.rows, 'row')} by adding `{added}` to `drop`"


def checked(table: Table, check: Callable[[Table], Table]) -> Table:
    """A table after a check; a check that cannot go on adds its reason to the findings."""
    try:
        return check(table)
    except InputError as error:
        table.findings.broken.append(str(error))
        return table


def require_unbroken(*tables: Table, lines: Sequence[str] = ()) -> None:
    """Refuse tables that break rules; names a rule once that one file breaks as both tables.

    Args:
        tables: Checked tables.
        lines: Remedies of all broken rules together, such as the line that maps columns.

    Raises:
        InputError: has the messages of all broken rules.
    """
    broken = list(dict.fromkeys(line for table in tables for line in table.findings.broken))
    if broken:
        count = f"{len(broken)} rules are broken:\n" if len(broken) > 1 else ""
        raise InputError(count + "\n".join([*broken, *lines]))


def read_schema(table: Table) -> pl.Schema:
    """Names and types of a table's columns.

    Raises:
        InputError: the file is missing or of another format.
    """
    with reading(table.path):
        return table.frame.collect_schema()


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raise errors of reading a file as InputError that names the file, in one line."""
    try:
        yield
    except (pl.exceptions.PolarsError, OSError) as error:
        kind = path.suffix[1:] or "table"
        raise InputError(
            f"{path}: must be a readable {kind} file, got: {_reason(error)}"
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


def one_line(error: Exception) -> str:
    """The first line of an error."""
    return str(error).split("\n", 1)[0]


def _reason(error: Exception) -> str:
    """The first line of an error of polars, with what to do about the frequent ones."""
    reason = one_line(error)
    if "invalid utf-8" in reason:
        return f"{reason}; convert it: `iconv -f WINDOWS-1252 -t UTF-8`"
    if "found more fields" in reason:
        return "a line with more columns than the first; check quotes and `delimiter` in data.yaml"
    if "supertype" in reason:
        return f"parts that give one column two types ({reason}); write all parts alike"
    if "could not parse" in reason:
        return f"{reason[:120]}; a quote may be missing"
    return reason

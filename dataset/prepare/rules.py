"""Computed columns and named drop rules: SQL expressions over a file's own columns, by polars."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from dataset.config import DataConfig
from dataset.prepare.catalogue.prices import RATE
from dataset.prepare.cleaning import Dropped
from dataset.prepare.drop_remedy import quoted
from dataset.prepare.schema import OF_INTERACTIONS
from dataset.prepare.similar import instead, nearest
from dataset.prepare.validation import InputError, one_line
from lineage.counted import counted

COMPUTE, DROP = "compute", "drop"
TO_REPLACE = f"; replace {RATE} with the currency's rate of exchange, such as 0.92"
_TOKEN = re.compile(r"""'(?:[^']|'')*'|"[^"]+"|\w+""")


@dataclass(frozen=True, kw_only=True)
class Expression:
    """One option of `compute` or `drop`."""

    kind: str
    """`compute` or `drop`."""
    name: str
    """The computed column, or the rule."""
    sql: str
    parsed: pl.Expr

    @property
    def columns(self) -> set[str]:
        """Columns of the file that it reads."""
        return set(self.parsed.meta.root_names())

    def refused(self, path: Path, reason: object) -> InputError:
        """The error of an expression that the columns of a file do not fit."""
        must = "be a condition over" if self.kind == DROP else "be an expression over"
        return InputError(
            f"{path}: {self.kind}.{self.name} must {must} the columns of the file, in SQL, "
            f"got {self.sql!r}: {reason}"
        )


def expressions(config: DataConfig) -> list[Expression]:
    """The expressions of a configuration, drop rules first.

    Raises:
        InputError: some are no SQL expressions; names all of them.
    """
    found, refused = list[Expression](), list[str]()
    for kind, given in ((DROP, config.drop), (COMPUTE, config.compute)):
        for name, sql in given.items():
            try:
                parsed = pl.sql_expr(sql)
            except pl.exceptions.PolarsError as error:
                refused.append(
                    f"{kind}.{name} in data.yaml must be an expression in SQL, got {sql!r}: "
                    f"{one_line(error)}"
                )
                continue
            found.append(Expression(kind=kind, name=name, sql=sql, parsed=parsed))
    if refused:
        raise InputError("\n".join(refused))
    return found


def applied(
    frame: pl.LazyFrame, rules: Sequence[Expression], *, path: Path, table: str
) -> tuple[pl.LazyFrame, list[Dropped]]:
    """A table without the rows that the rules drop, and with its computed columns.

    Only expressions count whose columns the table has. A condition that is null drops nothing. All
    computed columns are computed from the file's own.

    Args:
        frame: Columns as the file names them.
        rules: Drop rules and computed columns.
        path: Names the file in errors.
        table: `items`, `interactions` or `users`.

    Returns:
        The rows that are left, and the number that each rule dropped. Reads the columns once for
        each expression.

    Raises:
        InputError: an expression cannot be evaluated, or a rule drops all rows.
    """
    present = set(frame.collect_schema().names())
    fitting = [rule for rule in rules if rule.columns <= present and not _of_other(rule, table)]
    report = list[Dropped]()
    for rule in fitting:
        if rule.kind == DROP:
            frame, dropped = _dropped(frame, rule, path, table)
            report.append(dropped)
    computed = [rule for rule in fitting if rule.kind == COMPUTE]
    for rule in computed:
        _counted(frame, rule, path)
    return frame.with_columns(rule.parsed.alias(rule.name) for rule in computed), report


def not_applied(rules: Sequence[Expression], tables: Mapping[Path, Collection[str]]) -> list[str]:
    """What is wrong with expressions that no table has the columns for; names the missing columns.

    Args:
        rules: Drop rules and computed columns.
        tables: Columns of each table, as its files name them.
    """
    wrong = [
        min((_missing(rule, path, columns) for path, columns in tables.items()), key=_order)
        for rule in rules
        if not any(rule.columns <= set(columns) for columns in tables.values())
    ]
    problems = []
    for found in wrong:
        given = {rule.name: rule.sql for rule in rules if rule.kind == found.rule.kind}
        meant = {other.rule.name: other.meant for other in wrong}
        whole = {name: meant.get(name, sql) for name, sql in given.items()}
        said = TO_REPLACE if RATE in found.names else ""
        said = said or instead(found.rule.kind, given, whole if found.alike else given)
        reason = f"no {', '.join(found.names)} among {found.columns}{said}"
        problems.append(str(found.rule.refused(found.path, reason)))
    return problems


@dataclass(frozen=True, kw_only=True)
class _Missing:
    """Columns that an expression misses in a table."""

    rule: Expression
    path: Path
    columns: list[str]
    """Those of the table."""
    names: list[str]
    alike: Mapping[str, str]
    """Columns that are probably meant, by those that are missing."""

    @property
    def meant(self) -> str:
        """The expression with the columns that are probably meant."""

        def replaced(found: re.Match[str]) -> str:
            name = found[0].strip('"')
            return quoted(self.alike[name]) if name in self.alike else found[0]

        return _TOKEN.sub(replaced, self.rule.sql)


def _missing(rule: Expression, path: Path, columns: Collection[str]) -> _Missing:
    names = sorted(rule.columns - set(columns))
    alike = {name: near for name in names if (near := nearest(name, columns))}
    return _Missing(rule=rule, path=path, columns=list(columns), names=names, alike=alike)


def _order(missing: _Missing) -> tuple[int, int]:
    """Columns that are missing, and those of them that none is like."""
    return len(missing.names), len(missing.names) - len(missing.alike)


def _of_other(rule: Expression, table: str) -> bool:
    """Whether it is a constant that only interactions can have."""
    return table != "interactions" and rule.name in OF_INTERACTIONS and not rule.columns


def _dropped(
    frame: pl.LazyFrame, rule: Expression, path: Path, table: str
) -> tuple[pl.LazyFrame, Dropped]:
    rows, drops = _counted(frame, rule, path)
    if rows and drops == rows:
        raise rule.refused(path, f"it drops all of {counted(rows, 'row')}")
    report = Dropped(table=table, rule=rule.name, rows_in=rows, rows_out=rows - drops)
    return frame.filter(~rule.parsed.fill_null(value=False)), report


def _counted(frame: pl.LazyFrame, rule: Expression, path: Path) -> tuple[int, int]:
    """Number of rows, and of those where the expression is true, if it is a condition."""
    value = rule.parsed.alias("value")
    try:
        kind = frame.select(value).collect_schema()["value"]
        if rule.kind == DROP and kind != pl.Boolean:
            raise rule.refused(path, f"its values are {kind}, not true or false")
        true = pl.col("value").sum() if kind == pl.Boolean else pl.col("value").count()
        rows, found = (
            frame.with_columns(value).select(pl.len(), true.alias("value")).collect().row(0)
        )
    except pl.exceptions.PolarsError as error:
        raise rule.refused(path, one_line(error)) from error
    return rows, found

"""Drop rules that a refusal offers: those that leave out rows of one value, such as a time of 0."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from lineage.counted import counted
from lineage.yaml_lines import option_line


@dataclass(frozen=True, kw_only=True)
class Offered:
    """A drop rule that would leave out the rows that break a rule."""

    name: str
    condition: str
    """In SQL, over columns of the file."""
    rows: int
    """Number of rows that it leaves out."""


def drop_line(offered: list[Offered], given: Mapping[str, str]) -> str:
    """The one line of data.yaml that leaves rows out, with the rules that it has already.

    Args:
        offered: Rules of all tables.
        given: Rules of the configuration.
    """
    rules, said = dict(given), list[str]()
    for rule in dict.fromkeys(offered):
        name, number = rule.name, 1
        while rules.get(name, rule.condition) != rule.condition:
            number += 1
            name = f"{rule.name} {number}"
        rules[name] = rule.condition
        said.append(f"{counted(rule.rows, 'row')} ({name})")
    if not said:
        return ""
    line = option_line("drop", rules)
    return f"to leave out {' and '.join(said)}, write in data.yaml: `{line}`"


def drop_condition(column: str, values: pl.Series) -> str:
    """The condition of a drop rule; empty if none in SQL names the value of the rows.

    Args:
        column: Name of the column in the file.
        values: Distinct values of the rows, or the first two of them.
    """
    if len(values) != 1 or not _is_named(values[0]):
        return ""
    value, named = values[0], quoted(column)
    if isinstance(value, str):
        escaped = value.replace("'", "''")
        return f"{named} = '{escaped}'"
    return f"{named} IS NULL" if value is None else f"{named} = {value}"


def _is_named(value: object) -> bool:
    """Whether a condition in SQL can name a value."""
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, int | str)


def quoted(column: str) -> str:
    """A column in SQL, quoted if its name is a word of SQL or no word."""
    try:
        if pl.sql_expr(column).meta.root_names() == [column]:
            return column
    except pl.exceptions.PolarsError:
        pass
    return f'"{column}"'

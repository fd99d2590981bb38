"""Drop rules that a refusal offers: those that leave out rows of one value, such as a time of 0."""

import math

import polars as pl

from lineage.yaml_lines import option_line


def drop_rule(name: str, column: str, values: pl.Series) -> str:
    """The line of data.yaml that leaves rows out; empty if no condition in SQL names their value.

    Args:
        name: Name of the rule.
        column: Name of the column in the file.
        values: Distinct values of the rows, or the first two of them.
    """
    if len(values) != 1 or not _is_named(values[0]):
        return ""
    value, named = values[0], quoted(column)
    if isinstance(value, str):
        escaped = value.replace("'", "''")
        condition = f"{named} = '{escaped}'"
    else:
        condition = f"{named} IS NULL" if value is None else f"{named} = {value}"
    return option_line("drop", {name: condition})


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

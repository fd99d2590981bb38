"""Types of columns that were read as text: numbers, booleans and dates where all values agree."""

from collections.abc import Collection

import polars as pl

WHOLE = r"^-?(0|[1-9]\d{0,17})$"
NUMBER = r"^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d{1,3})?$"
DATE = r"^\d{4}-\d{2}-\d{2}$"


def typed(frame: pl.LazyFrame, *, as_text: Collection[str]) -> pl.LazyFrame:
    """A table of strings with each column in the type that all its values have.

    Reads the table once. `007` is no number, because it may be a code.

    Args:
        frame: Columns of strings.
        as_text: Names of the columns that stay strings.
    """
    schema = frame.collect_schema()
    names = [name for name, kind in schema.items() if kind == pl.String and name not in as_text]
    if not names:
        return frame
    found = frame.select(
        pl.col(name).pipe(_facts).alias(f"{number}") for number, name in enumerate(names)
    ).collect()
    kinds = {name: found[f"{number}"][0] for number, name in enumerate(names)}
    return frame.with_columns(
        _cast(pl.col(name), facts) for name, facts in kinds.items() if facts["any"]
    )


def _facts(text: pl.Expr) -> pl.Expr:
    day = text.str.to_date("%Y-%m-%d", strict=False)
    lower = text.str.to_lowercase()
    return pl.struct(
        any=text.is_not_null().any(),
        whole=text.str.contains(WHOLE).all(),
        number=text.str.contains(NUMBER).all(),
        boolean=lower.is_in(["true", "false"]).all(),
        date=(text.is_null() | (text.str.contains(DATE) & day.is_not_null())).all(),
    )


def _cast(text: pl.Expr, facts: dict[str, bool]) -> pl.Expr:
    if facts["whole"]:
        return text.cast(pl.Int64)
    if facts["number"]:
        return text.cast(pl.Float64)
    if facts["boolean"]:
        return text.str.to_lowercase() == "true"
    return text.str.to_date("%Y-%m-%d") if facts["date"] else text

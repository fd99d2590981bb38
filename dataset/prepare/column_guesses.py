"""Guesses which columns of a shop's files are ours under other names; never maps them itself."""

from collections.abc import Callable, Mapping

import polars as pl

from dataset.prepare.catalogue.prices import price_numbers
from dataset.prepare.drop_remedy import quoted
from dataset.prepare.schema import (
    ACTION,
    BASKET,
    ITEM,
    ORDER,
    TIMESTAMP,
    TITLE,
    USER,
    is_string,
    is_string_list,
)
from dataset.prepare.timestamps import from_date, is_ambiguous, is_time, unix_microseconds
from dataset.prepare.usual_names import BRAND, CATEGORY, DESCRIPTION, PRICE, alike
from dataset.prepare.validation import Table, read_schema, reading
from lineage.yaml_lines import option_line

OF_ITEMS = (ITEM, TITLE, PRICE, BRAND, CATEGORY, DESCRIPTION)
OF_EVENTS = (ITEM, USER, TIMESTAMP, BASKET, ACTION, ORDER)
OF_USERS = (USER,)
SAMPLE = 1_000
"""First rows whose values must fit a guess"""
MOSTLY = 0.9
"""Least share of values that must be times"""
OLDEST = from_date("1990-01-01")
ACTIONS, ACTION_LENGTH = 30, 40
"""Most actions of a sample, and most characters of one"""


def guessed(table: Table, wanted: tuple[str, ...]) -> dict[str, str]:
    """Our names of columns that the file names otherwise; judged by names and first values.

    Args:
        table: Under our names where they are known.
        wanted: Columns that may be there, those that are needed most first.
    """
    schema = read_schema(table)
    missing = [ours for ours in wanted if ours not in schema]
    others = [name for name in schema if name not in wanted]
    candidates = {ours: alike(ours, others) for ours in missing}
    names = list(dict.fromkeys(name for found in candidates.values() for name in found))
    if not names:
        return {}
    with reading(table.path):
        sample = table.frame.select(names).head(SAMPLE).collect()
    found = dict[str, str]()
    for ours in missing:
        if ours == ORDER and (TIMESTAMP in schema or TIMESTAMP in found.values()):
            continue
        fitting = (n for n in candidates[ours] if n not in found and _fits(ours, sample[n]))
        if (name := next(fitting, None)) is not None:
            found[name] = ours
    return {table.names.get(name, name): ours for name, ours in found.items()}


def mapping_line(*tables: Table) -> str:
    """Lines of data.yaml that map all guesses and what is mapped already; empty without guesses.

    Where a table has two columns that would get one of our names, `compute` chooses its own.
    """
    if not any(table.findings.guesses for table in tables):
        return ""
    columns = {theirs: ours for table in tables for ours, theirs in table.names.items()}
    for table in tables:
        columns.update(table.findings.guesses)
    chosen = dict[str, str]()
    for table in tables:
        present = [table.names.get(name, name) for name in read_schema(table)]
        for name, ours in table.findings.guesses.items():
            if any(columns.get(other) == ours and other != name for other in present):
                chosen[ours] = quoted(name)
                columns.pop(name, None)
    lines = [option_line("columns", columns)] if columns else []
    lines += [option_line("compute", chosen)] if chosen else []
    return " and ".join(f"`{line}`" for line in lines)


def note_on(guesses: Mapping[str, str], line: str) -> str:
    """One warning about columns that are not used as what they seem to be."""
    said = ", ".join(f"{theirs!r} ({ours})" for theirs, ours in guesses.items())
    return (
        f"columns that look like known ones: {said}; if they are meant, write in data.yaml: {line}"
    )


def _fits(ours: str, values: pl.Series) -> bool:
    """Whether the values of a column can be those of one of ours."""
    known = values.drop_nulls()
    return not known.is_empty() and CHECKS.get(ours, _are_texts)(known)


def _are_ids(values: pl.Series) -> bool:
    return is_string(values.dtype) or values.dtype.is_integer() or values.dtype.is_float()


def _are_times(values: pl.Series) -> bool:
    name, kind = values.name, values.dtype
    if not is_time(kind):
        return False
    times = pl.coalesce(
        unix_microseconds(name, kind) >= OLDEST,
        pl.when(is_ambiguous(name, kind)).then(pl.lit(value=True)),
    )
    read = values.to_frame().select(times.fill_null(value=False).mean()).item()
    return bool(read >= MOSTLY)


def _are_prices(values: pl.Series) -> bool:
    if not is_string(values.dtype):
        return values.dtype.is_numeric()
    return price_numbers(values.cast(pl.String).alias(PRICE)) is not None


def _are_titles(values: pl.Series) -> bool:
    return is_string(values.dtype) and bool(values.cast(pl.String).str.contains(r"\p{L}").any())


def _are_texts(values: pl.Series) -> bool:
    return is_string(values.dtype) or is_string_list(values.dtype)


def _are_actions(values: pl.Series) -> bool:
    if not is_string(values.dtype):
        return False
    longest = values.cast(pl.String).str.len_chars().max()
    return values.n_unique() <= ACTIONS and isinstance(longest, int) and longest <= ACTION_LENGTH


CHECKS: Mapping[str, Callable[[pl.Series], bool]] = {
    ITEM: _are_ids,
    USER: _are_ids,
    BASKET: _are_ids,
    TIMESTAMP: _are_times,
    ORDER: lambda values: values.dtype.is_integer(),
    PRICE: _are_prices,
    TITLE: _are_titles,
    ACTION: _are_actions,
}
"""What the first known values of a column must be; other columns are of texts"""

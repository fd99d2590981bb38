"""Names of a shop's columns: the configured mapping."""

import re
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from dataset.prepare.drop_remedy import quoted
from lineage.yaml_lines import option_line


def mapped(frame: pl.LazyFrame, columns: Mapping[str, str]) -> pl.LazyFrame:
    """A table under our names; a column that already has one of them stays.

    Args:
        frame: Rows of one table.
        columns: Our name by the shop's name.
    """
    present = frame.collect_schema().names()
    targets = {ours: theirs for theirs, ours in columns.items() if theirs in present}
    return frame.rename({theirs: ours for ours, theirs in targets.items() if ours not in present})


def mapped_twice(path: Path, present: list[str], columns: Mapping[str, str]) -> list[str]:
    """What is wrong with columns of one table that would get the same name; says how to choose.

    Args:
        path: Names the table.
        present: Its columns.
        columns: Our name by the shop's name.
    """
    problems = []
    for ours in dict.fromkeys(columns.values()):
        found = [theirs for theirs in columns if columns[theirs] == ours and theirs in present]
        if len(found) > 1 and ours not in present:
            chosen = option_line("compute", {ours: quoted(found[0])})
            problems.append(
                f"{path}: columns must map one column of a table to {ours!r}, got {found}; map "
                f"one alone, or if the other table needs {found[1]!r}, too, write `{chosen}` in "
                f"data.yaml instead of {found[0]!r}"
            )
    return problems


def plain_name(name: str) -> str:
    """A name in small letters and digits alone."""
    return re.sub(r"[^a-z0-9]", "", name.lower())

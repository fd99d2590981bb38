"""Checks a table of users, and writes its typed columns, by which a report groups users."""

from dataclasses import replace
from pathlib import Path

import polars as pl

from dataset.attribute_kind import Kind
from dataset.prepare.attributes import kind_of, save_attributes
from dataset.prepare.catalogue.item_columns import usable
from dataset.prepare.catalogue.number_notes import Origin
from dataset.prepare.ids import AS_IDS, id_rules, id_text, is_id
from dataset.prepare.schema import USER
from dataset.prepare.validation import (
    Findings,
    Rule,
    Table,
    read_schema,
    reading,
    require,
    require_columns,
    require_type,
)
from dataset.user_columns import FOLDER
from lineage.counted import counted

FEW_VALUES = 10
"""Keywords that are never taken for names of single users"""
OF_SINGLE_USERS = "its values tell single users apart"


def canonical_users(users: Table) -> Table:
    """Users with string ids and the columns that can group them, read into memory.

    Broken rules are in the findings, and why a column is not used. Texts that tell single users
    apart, such as names and addresses, are not kept.
    """
    require_columns(users, [USER])
    require_type(users, USER, "be text or whole numbers", is_id, remedy=AS_IDS)
    if users.findings.broken:
        return users
    kind = read_schema(users)[USER]
    unique = Rule(
        column=USER,
        must="be unique",
        broken=id_text(USER, kind).is_duplicated(),
        remedy="keep one row of each user",
    )
    require(users, [*id_rules(USER, kind), unique])
    if users.findings.broken:
        return users
    with reading(users.path):
        rows = users.frame.with_columns(id_text(USER, kind)).collect()
    origin = Origin(ids=None, names=users.names, own=users.own, places=users.places)
    columns = usable(rows.drop(USER), users.findings, origin)
    kept = [column for column in columns if _groups(column, users.findings)]
    return replace(users, frame=pl.DataFrame([rows[USER], *kept]).lazy())


def save_users(
    folder: Path, users: pl.DataFrame, table: pl.DataFrame
) -> tuple[dict[str, Kind], str]:
    """Write the columns of the users whose interactions were kept; `user_columns` reads them.

    Args:
        folder: Folder of the data stage.
        users: `user_id`, in the order of the rows.
        table: Canonical users, under their names.

    Returns:
        Kind of every column, and what the log and the report say of it.
    """
    found = users.select(USER).join(table, on=USER, how="left", maintain_order="left")
    below = folder / FOLDER
    below.mkdir()
    kinds = save_attributes(below, found.drop(USER))
    known = len(users.join(table, on=USER, how="semi"))
    return kinds, (
        f"{known:,} of {counted(len(users), 'user')} are in the table of users, with "
        f"{', '.join(map(repr, kinds)) or 'no columns'}; no model reads them"
    )


def _groups(column: pl.Series, findings: Findings) -> bool:
    """Whether the values of a usable column may group users; says why not."""
    if kind_of(column.dtype) != "keyword":
        return True
    values = column.explode() if isinstance(column.dtype, pl.List) else column
    distinct = values.drop_nulls().n_unique()
    if distinct <= max(FEW_VALUES, (len(column) - column.null_count()) // 2):
        return True
    findings.unused[column.name] = OF_SINGLE_USERS
    findings.notes.append(f"column {column.name!r} is not kept: {OF_SINGLE_USERS}")
    return False

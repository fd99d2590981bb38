"""Checks the rules that items must keep, and converts them to canonical form."""

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from dataset.config import Duplicates
from dataset.prepare.catalogue.item_columns import usable
from dataset.prepare.catalogue.lines_of_sales import (
    OF_EVENT,
    columns_of_events,
    note_on_events,
    with_numbers,
)
from dataset.prepare.catalogue.merged_items import merged
from dataset.prepare.catalogue.number_notes import Origin
from dataset.prepare.cleaning import Dropped
from dataset.prepare.ids import AS_IDS, id_rules, id_text, is_id
from dataset.prepare.schema import ITEM, OF_INTERACTIONS, TITLE, is_string
from dataset.prepare.timestamps import beyond_years
from dataset.prepare.validation import (
    Rule,
    Table,
    read_schema,
    reading,
    require,
    require_columns,
    require_rows,
    require_type,
)


def canonical_items(items: Table, duplicates: Duplicates, actions: Mapping[str, float]) -> Table:
    """Items with string ids and usable columns, read into memory; broken rules are in the findings.

    Args:
        items: The table as found.
        duplicates: What to do about an id that comes more than once; `refuse` breaks a rule.
        actions: Weights of actions that the configuration gives.
    """
    require_columns(items, [ITEM, TITLE])
    require_type(items, ITEM, "be text or whole numbers", is_id, remedy=AS_IDS)
    remedy = "fill it, or map another column in data.yaml: `columns: {name: title}`"
    require_type(items, TITLE, "be text", _is_title, remedy=remedy)
    if items.findings.broken:
        return items
    require_rows(items)
    kind = read_schema(items)[ITEM]
    rules = id_rules(ITEM, kind)
    if duplicates == "refuse":
        rules.append(_unique(kind))
    dates = {n: kind for n, kind in read_schema(items).items() if kind in (pl.Date, pl.Datetime)}
    rules += [
        Rule(
            column=name,
            must="be within the years 1 to 9999",
            broken=beyond_years(name, kind),
            remedy="correct them, or leave the column out: "
            f"`ignore: [{items.names.get(name, name)}]` in data.yaml",
        )
        for name, kind in dates.items()
    ]
    require(items, rules)
    if items.findings.broken:
        return items
    with reading(items.path):
        rows = items.frame.with_columns(id_text(ITEM, kind)).collect()
    places = items.places
    if duplicates != "refuse":
        places = None  # which of the rows is left is not known
        rows = _one_of_each(rows, items, duplicates, actions)
    if items.shared:
        rows = rows.drop(OF_INTERACTIONS, strict=False)
        items.findings.unused.update(dict.fromkeys(OF_INTERACTIONS, "not of the item"))
    origin = Origin(ids=rows[ITEM], names=items.names, own=items.own, places=places)
    return replace(items, frame=usable(rows, items.findings, origin).lazy())


def _unique(kind: pl.DataType) -> Rule:
    return Rule(
        column=ITEM,
        must="be unique",
        broken=id_text(ITEM, kind).is_duplicated(),
        remedy="keep one row of each with `duplicates: last` or `duplicates: first` in data.yaml, "
        "or join sales lines with `duplicates: merge`",
    )


def _one_of_each(
    rows: pl.DataFrame, items: Table, keep: Duplicates, actions: Mapping[str, float]
) -> pl.DataFrame:
    if keep == "merge":
        kept = _merged(rows, items, actions)
    else:
        kept = rows.unique(
            subset=ITEM, keep="first" if keep == "first" else "last", maintain_order=True
        )
    said = "rows merged" if keep == "merge" else f"{keep} row kept"
    items.findings.dropped.append(
        Dropped(
            table="items",
            rule=f"duplicate item id, {said}",
            rows_in=len(rows),
            rows_out=len(kept),
        )
    )
    return kept


def _merged(rows: pl.DataFrame, items: Table, actions: Mapping[str, float]) -> pl.DataFrame:
    origin = Origin(ids=rows[ITEM], names=items.names, own=items.own, places=items.places)
    lines = with_numbers(rows, items.findings, origin)
    leave_out = list[str]()
    if items.shared:
        varying = columns_of_events(lines.rows, lines.prices)
        items.findings.unused.update(dict.fromkeys(varying, OF_EVENT))
        note = note_on_events(varying, origin)
        items.findings.notes.extend([note] if note else [])
        leave_out = [*OF_INTERACTIONS, *varying]
    return merged(lines.rows, leave_out=leave_out, actions=actions, dated=lines.dated)


def _is_title(kind: pl.DataType) -> bool:
    return is_string(kind) or isinstance(kind, pl.Binary)

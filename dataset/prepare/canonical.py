"""Checks the rules that every source must keep, and converts it to canonical form."""

import time
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import polars as pl

from dataset.config import Duplicates
from dataset.interaction_codes import DAY, MICROSECONDS
from dataset.prepare.actions import folded
from dataset.prepare.catalogue.canonical_items import canonical_items
from dataset.prepare.column_names import nearest, suggestion
from dataset.prepare.ids import (
    AS_IDS,
    id_rules,
    id_text,
    is_empty,
    is_id,
    not_empty,
    short,
    user_or_basket,
)
from dataset.prepare.no_interactions import emptied, has_rows
from dataset.prepare.schema import (
    ACTION,
    BASKET,
    ITEM,
    ORDER,
    SPLIT,
    TIME,
    TIMESTAMP,
    USER,
    is_string,
)
from dataset.prepare.sources import Source
from dataset.prepare.time_zones import note_on_zones
from dataset.prepare.timestamps import (
    from_date,
    is_ambiguous,
    is_time,
    read_as,
    unix_microseconds,
)
from dataset.prepare.validation import (
    Rule,
    Table,
    checked,
    read_schema,
    reading,
    require,
    require_columns,
    require_type,
    require_unbroken,
)

SPLITS = ("train", "valid", "test")
AS_TIMES = "write date and time, as 2024-12-31T14:05:00 or Unix time"
NO_TIMES = f"; export the times, or number each user's rows from the oldest in {ORDER!r}"
EARLIEST = "2000-01-01"
NONE: Mapping[str, float] = MappingProxyType({})


def canonical(
    source: Source,
    *,
    earliest: str = EARLIEST,
    now: float | None = None,
    duplicates: Duplicates = "refuse",
    actions: Mapping[str, float] = NONE,
) -> Source:
    """Check a source and convert it to canonical form: string ids, Unix times, known splits.

    Args:
        source: The tables as found.
        earliest: First day that a timestamp may be of, unless the source states its own.
        now: Unix seconds; times more than a day later are in the future. By default the clock.
        duplicates: What to do about an item id that comes more than once.
        actions: Weights of the configuration; `merge` takes values from sales, not from refunds.

    Returns:
        Items with all columns that can be used. Interactions with `user_id` (null only in rows
        with a basket), `item_id` and the optional columns they had: `order` (int), `time` (Unix
        microseconds), `basket` (text, null for none), `action` (text, empty for none), `split`
        (`train`, `valid`, `test`). Notes on timestamps that are read in several ways.

    Raises:
        InputError: rules are broken; names all of them.
    """
    found = examined(source, earliest=earliest, now=now, duplicates=duplicates, actions=actions)
    require_unbroken(found.items, found.interactions)
    return found


def examined(
    source: Source,
    *,
    earliest: str = EARLIEST,
    now: float | None = None,
    duplicates: Duplicates = "refuse",
    actions: Mapping[str, float] = NONE,
) -> Source:
    """Like `canonical`, but leaves broken rules in the findings; such a table is not canonical."""
    earliest, now = source.earliest or earliest, time.time() if now is None else now
    return replace(
        source,
        items=checked(source.items, lambda items: canonical_items(items, duplicates, actions)),
        interactions=checked(
            source.interactions, lambda events: _checked_interactions(events, earliest, now)
        ),
    )


def _checked_interactions(events: Table, earliest: str, now: float) -> Table:
    if not has_rows(events):
        return emptied(events)
    require_columns(events, [USER, ITEM])
    schema = read_schema(events)
    if TIMESTAMP not in schema and ORDER not in schema:
        events.refuse(
            f"column {TIMESTAMP!r} or {ORDER!r} must exist, "
            f"got the columns {list(schema)}{suggestion(TIMESTAMP, schema) or NO_TIMES}"
        )
    columns, rules = dict[str, pl.Expr](), list[Rule]()
    for name in (USER, ITEM):
        require_type(events, name, "be text or whole numbers", is_id, remedy=AS_IDS)
        if name in schema:
            columns[name] = _or_null(name, schema[name])
            required = _required_user(schema) if name == USER else None
            rules += id_rules(name, schema[name], required=required)
    if ORDER in schema:
        require_type(events, ORDER, "be whole numbers", lambda kind: kind.is_integer())
        columns[ORDER] = pl.col(ORDER).cast(pl.Int64, strict=False)
        rules.append(Rule(column=ORDER, must="not be null", broken=pl.col(ORDER).is_null()))
        rules.append(Rule(column=ORDER, must="be below 2^63", broken=columns[ORDER].is_null()))
    if TIMESTAMP in schema:
        require_type(
            events, TIMESTAMP, "be numbers, dates or ISO 8601 text", is_time, remedy=AS_TIMES
        )
        columns[TIME] = unix_microseconds(TIMESTAMP, schema[TIMESTAMP])
        rules += _time_rules(schema[TIMESTAMP], columns[TIME], earliest, now)
    if BASKET in schema:
        require_type(events, BASKET, "be text or whole numbers", is_id, remedy=AS_IDS)
        columns[BASKET] = _or_null(BASKET, schema[BASKET])
    if SPLIT in schema:
        require_type(events, SPLIT, "be text", is_string, remedy="write train, valid or test")
        columns[SPLIT] = pl.col(SPLIT).cast(pl.String)
        known = columns[SPLIT].is_in(SPLITS).fill_null(value=False)
        rules.append(
            Rule(
                column=SPLIT,
                must="be train, valid or test",
                broken=~known,
                remedy="write them so, or leave the column out",
            )
        )
    if ACTION in schema:
        require_type(events, ACTION, "be text", is_string, remedy="write names, such as view")
        rules.append(short(ACTION))
        columns[ACTION] = folded(ACTION)
    require(events, rules)
    if not events.findings.broken:
        zones = note_on_zones(events)
        events.findings.notes.extend([*_mixed_times(events), *([zones] if zones else [])])
    return replace(events, frame=events.frame.select(**columns))


def _required_user(schema: pl.Schema) -> Rule:
    """Who must have a user: every row, or every one that has no basket."""
    if BASKET in schema and is_id(schema[BASKET]):
        return user_or_basket(USER, schema[USER], BASKET, schema[BASKET])
    rule = not_empty(USER, schema[USER])
    near = nearest(BASKET, schema)
    column = near if near is not None else "invoice"
    return replace(
        rule,
        remedy=f"{rule.remedy}; rows of a basket may lack them, if its column is mapped in "
        f"data.yaml: `columns: {{{column}: {BASKET}}}`",
    )


def _or_null(column: str, kind: pl.DataType) -> pl.Expr:
    """Ids as strings; null where they are empty."""
    return pl.when(~is_empty(column, kind)).then(id_text(column, kind))


def _time_rules(kind: pl.DataType, times: pl.Expr, earliest: str, now: float) -> list[Rule]:
    """Rules for timestamps, of which each row breaks at most one."""
    ambiguous = is_ambiguous(TIMESTAMP, kind)
    broken = {
        "show whether day or month comes first (write 2024-04-03 for 03/04/2024)": ambiguous,
        "be a readable time (write 2024-12-31T14:05:00 or Unix time, or drop the row)": (
            times.is_null() & ~ambiguous
        ),
        f"not be before {earliest} (drop rows of unknown time; call places in a history {ORDER!r}; "
        "`earliest` in data.yaml allows older times)": times < from_date(earliest),
        "not be in the future (drop or correct the rows)": times > (now + DAY) * MICROSECONDS,
    }
    return [Rule(column=TIMESTAMP, must=must, broken=rows) for must, rows in broken.items()]


def _mixed_times(events: Table) -> tuple[str, ...]:
    """One note if the timestamps are read in several ways."""
    kind = read_schema(events).get(TIMESTAMP)
    if kind is None or not (kind.is_numeric() or is_string(kind)):
        return ()
    with reading(events.path):
        ways = events.frame.select(way=read_as(TIMESTAMP, kind)).group_by("way").len()
        found: list[tuple[Any, ...]] = ways.sort("len", descending=True).collect().rows()
    if len(found) < 2:
        return ()
    counts = " and ".join(f"{rows:,} as {way}" for way, rows in found)
    return (f"column {TIMESTAMP!r} mixes units, and each value is read by its own: {counts}",)

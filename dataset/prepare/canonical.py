"""Checks the rules that every source must keep, and converts it to canonical form."""

import time
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import polars as pl

from dataset.config import Duplicates
from dataset.prepare.actions import folded
from dataset.prepare.catalogue.canonical_items import canonical_items
from dataset.prepare.checked_times import mixed_times, time_rules, with_times
from dataset.prepare.column_guesses import mapping_line, note_on
from dataset.prepare.drop_remedy import drop_line
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
    OF_INTERACTIONS,
    ORDER,
    SPLIT,
    TIME,
    TIMESTAMP,
    USER,
    is_string,
)
from dataset.prepare.search_columns import search_columns
from dataset.prepare.sources import Source
from dataset.prepare.time_zones import note_on_zones
from dataset.prepare.timestamps import is_time
from dataset.prepare.users import canonical_users
from dataset.prepare.validation import (
    Rule,
    Table,
    checked,
    guess,
    read_schema,
    require,
    require_columns,
    require_type,
    require_unbroken,
    suggestion,
)

SPLITS = ("train", "valid", "test")
AS_TIMES = "write date and time, as 2024-12-31T14:05:00 or Unix time"
AS_PLACES = "number each user's rows from the oldest"
NO_TIMES = f"; export the times, or {AS_PLACES} in {ORDER!r}"
EARLIEST = "2000-01-01"
MOST = 5
"""Most columns that a note names"""
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
        Items and users with their usable columns. Interactions with `user_id` (null only in rows
        with a basket), `item_id` and the optional columns they had: `order` (int), `time` (Unix
        microseconds), `basket` (text, null for none), `action` (text, empty for none), `split`
        (`train`, `valid`, `test`), `search` (text, empty for none), `relevance` (at least 0). Notes
        on timestamps that are read in several ways.

    Raises:
        InputError: rules are broken; names all of them.
    """
    found = examined(source, earliest=earliest, now=now, duplicates=duplicates, actions=actions)
    require_unbroken(*found.tables, lines=found.lines)
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
    found = replace(
        source,
        items=checked(source.items, lambda items: canonical_items(items, duplicates, actions)),
        interactions=checked(
            source.interactions, lambda events: _checked_interactions(events, earliest, now)
        ),
        users=None if source.users is None else checked(source.users, canonical_users),
    )
    return _with_lines(found, source)


def _with_lines(found: Source, source: Source) -> Source:
    """A checked source with the lines that leave rows out and map its guessed columns.

    Guesses are only a note if no rule is broken.

    Args:
        found: The checked tables.
        source: The tables with all columns of the files.
    """
    tables = source.tables
    dropping = drop_line([rule for table in tables for rule in table.findings.drops], found.drop)
    lines, line = ((dropping,) if dropping else ()), mapping_line(*tables)
    if not line:
        return replace(found, lines=lines)
    if any(table.findings.broken for table in tables):
        said = f"to map all columns that are probably meant, write in data.yaml: {line}"
        return replace(found, lines=(*lines, said))
    guesses = {name: ours for table in tables for name, ours in table.findings.guesses.items()}
    source.interactions.findings.notes.append(note_on(guesses, line))
    return found


def _checked_interactions(events: Table, earliest: str, now: float) -> Table:
    if not has_rows(events):
        return emptied(events)
    require_columns(events, [USER, ITEM])
    schema = read_schema(events)

    def named(column: str) -> str:
        return events.names.get(column, column)

    if TIMESTAMP not in schema and ORDER not in schema:
        events.refuse(
            f"column {TIMESTAMP!r} or {ORDER!r} must exist, "
            f"got the columns {list(schema)}"
            f"{suggestion(events, TIMESTAMP) or suggestion(events, ORDER) or NO_TIMES}"
        )
    events.findings.notes.extend(_unused(events, schema))
    columns, rules = dict[str, pl.Expr](), list[Rule]()
    for name in (USER, ITEM):
        require_type(events, name, "be text or whole numbers", is_id, remedy=AS_IDS)
        if name in schema:
            columns[name] = _or_null(name, schema[name])
            required = _required_user(events, schema) if name == USER else None
            rules += id_rules(name, schema[name], required=required)
    if ORDER in schema:
        require_type(
            events, ORDER, "be whole numbers", lambda kind: kind.is_integer(), remedy=AS_PLACES
        )
        columns[ORDER] = pl.col(ORDER).cast(pl.Int64, strict=False)
        missing, read = pl.col(ORDER).is_null(), columns[ORDER].is_null()
        rules += [
            Rule(column=ORDER, must="not be null", broken=missing, remedy=AS_PLACES),
            Rule(column=ORDER, must="be below 2^63", broken=read & ~missing, remedy=AS_PLACES),
        ]
    if TIMESTAMP in schema:
        require_type(
            events, TIMESTAMP, "be numbers, dates or ISO 8601 text", is_time, remedy=AS_TIMES
        )
        events, columns[TIME] = with_times(events, schema[TIMESTAMP])
        rules += time_rules(schema[TIMESTAMP], columns[TIME], earliest, now)
    if BASKET in schema:
        require_type(events, BASKET, "be text or whole numbers", is_id, remedy=AS_IDS)
        columns[BASKET] = _or_null(BASKET, schema[BASKET])
    if SPLIT in schema:
        leave_out = f"leave the column out: `ignore: [{named(SPLIT)}]` in data.yaml"
        remedy = f"write train, valid or test, or {leave_out}"
        require_type(events, SPLIT, "be text", is_string, remedy=remedy)
        columns[SPLIT] = pl.col(SPLIT).cast(pl.String)
        known = columns[SPLIT].is_in(SPLITS).fill_null(value=False)
        rules.append(
            Rule(
                column=SPLIT,
                must="be train, valid or test",
                broken=~known,
                remedy=f"write them so, or {leave_out}",
            )
        )
    if ACTION in schema:
        require_type(events, ACTION, "be text", is_string, remedy=_as_actions(named(ACTION)))
        rules.append(short(ACTION))
        columns[ACTION] = folded(ACTION)
    of_search, more = search_columns(events, schema)
    columns |= of_search
    require(events, [*rules, *more])
    if not events.findings.broken:
        zones = note_on_zones(events)
        events.findings.notes.extend([*mixed_times(events), *([zones] if zones else [])])
    return replace(events, frame=events.frame.select(**columns))


def _as_actions(column: str) -> str:
    """Remedy of actions that are not text."""
    return (
        "write names, such as view, or name the values in data.yaml: "
        f"`compute: {{{column}: CASE {column} WHEN 1 THEN 'view' WHEN 2 THEN 'purchase' END}}`"
    )


def _unused(events: Table, schema: pl.Schema) -> list[str]:
    """One note if a table of interactions alone has columns that mean nothing here."""
    unused = [name for name in schema if name not in OF_INTERACTIONS and name != ITEM]
    unused = [events.names.get(name, name) for name in unused]
    if not unused or events.shared:
        return []
    more = f" and {len(unused) - MOST} more" if len(unused) > MOST else ""
    return [
        f"columns without a use: {', '.join(map(repr, unused[:MOST]))}{more}; `compute` in "
        "data.yaml can make actions of them, such as refunds of negative quantities"
    ]


def _required_user(events: Table, schema: pl.Schema) -> Rule:
    """Who must have a user: every row, or every one that has no basket."""
    if BASKET in schema and is_id(schema[BASKET]):
        return user_or_basket(USER, schema[USER], BASKET, schema[BASKET])
    rule = not_empty(USER, schema[USER])
    if near := guess(events, BASKET):
        keeps = f"map {near!r} to {BASKET!r} by `columns`: rows of a basket may lack them"
        return replace(rule, remedy=f"{keeps}; or fill the ids", may_stay=True)
    others = f"rows of a basket may lack them, if `columns` maps its column to {BASKET!r}"
    return replace(rule, remedy=f"{rule.remedy}; {others}")


def _or_null(column: str, kind: pl.DataType) -> pl.Expr:
    """Ids as strings; null where they are empty."""
    return pl.when(~is_empty(column, kind)).then(id_text(column, kind))

"""Checks the rules that every source must keep, and converts it to canonical form."""

import time
from dataclasses import replace

import polars as pl

from dataset.config import Duplicates
from dataset.interaction_codes import DAY
from dataset.prepare.catalogue.canonical_items import canonical_items
from dataset.prepare.column_names import suggestion
from dataset.prepare.ids import AS_IDS, id_rules, id_text, is_id, short
from dataset.prepare.schema import ACTION, ITEM, ORDER, SPLIT, TIME, TIMESTAMP, USER, is_string
from dataset.prepare.sources import Source
from dataset.prepare.timestamps import is_time, unix_seconds
from dataset.prepare.validation import (
    Rule,
    Table,
    checked,
    read_schema,
    require,
    require_columns,
    require_rows,
    require_type,
    require_unbroken,
)

SPLITS = ("train", "valid", "test")


def canonical(
    source: Source, *, now: float | None = None, duplicates: Duplicates = "refuse"
) -> Source:
    """Check a source and convert it to canonical form: string ids, Unix seconds, known splits.

    Args:
        source: The tables as found.
        duplicates: What to do about an item id that comes more than once.
        now: Unix seconds; times more than a day later are in the future. By default the clock.

    Returns:
        Items with all columns that can be used. Interactions with `user_id`, `item_id` and the
        optional columns they had: `order` (int), `time` (Unix seconds), `action` (text, empty for
        none), `split` (`train`, `valid`, `test`).

    Raises:
        InputError: rules are broken; names all of them.
    """
    found = examined(source, now=now, duplicates=duplicates)
    require_unbroken(found.items, found.interactions)
    return found


def examined(
    source: Source, *, now: float | None = None, duplicates: Duplicates = "refuse"
) -> Source:
    """Like `canonical`, but leaves broken rules in the findings; such a table is not canonical."""
    now = time.time() if now is None else now
    return replace(
        source,
        items=checked(source.items, lambda items: canonical_items(items, duplicates)),
        interactions=checked(
            source.interactions, lambda events: _checked_interactions(events, now)
        ),
    )


def _checked_interactions(events: Table, now: float) -> Table:
    require_columns(events, [USER, ITEM])
    schema = read_schema(events)
    if TIMESTAMP not in schema and ORDER not in schema:
        events.refuse(
            f"column {TIMESTAMP!r} or {ORDER!r} must exist, "
            f"got the columns {list(schema)}{suggestion(TIMESTAMP, schema)}"
        )
    columns, rules = dict[str, pl.Expr](), list[Rule]()
    for name in (USER, ITEM):
        require_type(events, name, "be text or whole numbers", is_id, remedy=AS_IDS)
        if name in schema:
            columns[name] = id_text(name, schema[name])
            rules += id_rules(name, schema[name])
    if ORDER in schema:
        require_type(events, ORDER, "be whole numbers", lambda kind: kind.is_integer())
        rules.append(Rule(column=ORDER, must="not be null", broken=pl.col(ORDER).is_null()))
        columns[ORDER] = pl.col(ORDER).cast(pl.Int64)
    if TIMESTAMP in schema:
        require_type(events, TIMESTAMP, "be numbers, dates or ISO 8601 text", is_time)
        columns[TIME] = unix_seconds(TIMESTAMP, schema[TIMESTAMP])
        rules += _time_rules(columns[TIME], now)
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
        columns[ACTION] = pl.col(ACTION).cast(pl.String).fill_null("").str.strip_chars()
    require_rows(events)
    require(events, rules)
    return replace(events, frame=events.frame.select(**columns))


def _time_rules(seconds: pl.Expr, now: float) -> list[Rule]:
    return [
        Rule(column=TIMESTAMP, must="be a readable time", broken=seconds.is_null()),
        Rule(column=TIMESTAMP, must="not be before 1970", broken=seconds < 0),
        Rule(column=TIMESTAMP, must="not be in the future", broken=seconds > now + DAY),
    ]

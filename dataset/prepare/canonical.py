"""Checks the rules that every source must keep, and converts it to canonical form."""

import time
from dataclasses import replace

import polars as pl

from dataset.interaction_codes import DAY
from dataset.prepare.schema import (
    ACTION,
    ITEM,
    ORDER,
    SPLIT,
    STRINGS,
    TIME,
    TIMESTAMP,
    TITLE,
    USER,
    is_string,
)
from dataset.prepare.sources import Source
from dataset.prepare.timestamps import is_time, unix_seconds
from dataset.prepare.validation import (
    InputError,
    Rule,
    Table,
    read_schema,
    require,
    require_columns,
    require_rows,
    require_type,
)
from shortlist_client.api.event import ID_LENGTH

SPLITS = ("train", "valid", "test")


def canonical(source: Source, *, now: float | None = None) -> Source:
    """Check a source and convert it to canonical form: string ids, Unix seconds, known splits.

    Args:
        source: The tables as found.
        now: Unix seconds; times more than a day later are in the future. By default the clock.

    Returns:
        Items with all their columns. Interactions with `user_id`, `item_id` and the optional
        columns they had: `order` (int), `time` (Unix seconds), `action` (text, empty for none),
        `split` (`train`, `valid`, `test`).

    Raises:
        InputError: a rule is broken; names the first one.
    """
    return replace(
        source,
        items=_checked_items(source.items),
        interactions=_checked_interactions(
            source.interactions, time.time() if now is None else now
        ),
    )


def _checked_items(items: Table) -> Table:
    require_columns(items, [ITEM, TITLE])
    require_type(items, ITEM, "be text or whole numbers", _is_id)
    require_type(items, TITLE, "be text", is_string)
    require_rows(items)
    unique = Rule(column=ITEM, must="be unique", broken=pl.col(ITEM).is_duplicated())
    require(items, [_required(ITEM), unique, _short(ITEM)])
    strings = [name for name, kind in read_schema(items).items() if is_string(kind) or name == ITEM]
    return replace(items, frame=items.frame.with_columns(pl.col(strings).cast(pl.String)))


def _checked_interactions(events: Table, now: float) -> Table:
    require_columns(events, [USER, ITEM])
    schema = read_schema(events)
    if TIMESTAMP not in schema and ORDER not in schema:
        raise InputError(
            f"{events.path}: column {TIMESTAMP!r} or {ORDER!r} must exist, "
            f"got the columns {list(schema)}"
        )
    columns = {USER: pl.col(USER).cast(pl.String), ITEM: pl.col(ITEM).cast(pl.String)}
    rules = [_required(USER), _required(ITEM), _short(USER), _short(ITEM)]
    for name in (USER, ITEM):
        require_type(events, name, "be text or whole numbers", _is_id)
    if ORDER in schema:
        require_type(events, ORDER, "be whole numbers", lambda kind: kind.is_integer())
        rules.append(Rule(column=ORDER, must="not be null", broken=pl.col(ORDER).is_null()))
        columns[ORDER] = pl.col(ORDER).cast(pl.Int64)
    if TIMESTAMP in schema:
        require_type(events, TIMESTAMP, "be numbers, dates or ISO 8601 text", is_time)
        columns[TIME] = unix_seconds(TIMESTAMP, schema[TIMESTAMP])
        rules += _time_rules(columns[TIME], now)
    if SPLIT in schema:
        require_type(events, SPLIT, "be text", is_string)
        columns[SPLIT] = pl.col(SPLIT).cast(pl.String)
        known = columns[SPLIT].is_in(SPLITS).fill_null(value=False)
        rules.append(Rule(column=SPLIT, must="be train, valid or test", broken=~known))
    if ACTION in schema:
        require_type(events, ACTION, "be text", is_string)
        rules.append(_short(ACTION))
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


def _required(column: str) -> Rule:
    empty = pl.col(column).cast(pl.String).str.strip_chars() == ""
    return Rule(
        column=column,
        must="not be null or empty",
        broken=pl.col(column).is_null() | empty.fill_null(value=True),
    )


def _short(column: str) -> Rule:
    """No request could name a longer id or action."""
    length = pl.col(column).cast(pl.String).str.len_chars()
    return Rule(
        column=column,
        must=f"have at most {ID_LENGTH} characters",
        broken=(length > ID_LENGTH).fill_null(value=False),
    )


def _is_id(kind: pl.DataType) -> bool:
    return kind.is_integer() or isinstance(kind, STRINGS)

"""Checks the rules that every source must keep, and converts it to canonical form."""

import time
from dataclasses import replace
from typing import Any

import polars as pl

from dataset.interaction_codes import DAY, MICROSECONDS
from dataset.prepare.schema import (
    ACTION,
    BASKET,
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
from dataset.prepare.timestamps import (
    beyond_years,
    from_date,
    is_ambiguous,
    is_time,
    read_as,
    unix_microseconds,
)
from dataset.prepare.validation import (
    InputError,
    Rule,
    Table,
    read_schema,
    reading,
    require,
    require_columns,
    require_rows,
    require_type,
)
from shortlist_client.api.event import ID_LENGTH

SPLITS = ("train", "valid", "test")
EARLIEST = "2000-01-01"


def canonical(source: Source, *, earliest: str = EARLIEST, now: float | None = None) -> Source:
    """Check a source and convert it to canonical form: string ids, Unix times, known splits.

    Args:
        source: The tables as found.
        earliest: First day that a timestamp may be of, unless the source states its own.
        now: Unix seconds; times more than a day later are in the future. By default the clock.

    Returns:
        Items with all their columns. Interactions with `user_id`, `item_id` and the optional
        columns they had: `order` (int), `time` (Unix microseconds), `basket` (text, null for none),
        `action` (text, empty for none), `split` (`train`, `valid`, `test`). Notes on timestamps
        that are read in several ways.

    Raises:
        InputError: a rule is broken; names the first one.
    """
    earliest, now = source.earliest or earliest, time.time() if now is None else now
    return replace(
        source,
        items=_checked_items(source.items),
        interactions=_checked_interactions(source.interactions, earliest, now),
        notes=(*source.notes, *_mixed_times(source.interactions)),
    )


def _checked_items(items: Table) -> Table:
    require_columns(items, [ITEM, TITLE])
    require_type(items, ITEM, "be text or whole numbers", _is_id)
    require_type(items, TITLE, "be text", is_string)
    require_rows(items)
    unique = Rule(column=ITEM, must="be unique", broken=pl.col(ITEM).is_duplicated())
    dates = {n: kind for n, kind in read_schema(items).items() if kind in (pl.Date, pl.Datetime)}
    years = [
        Rule(column=name, must="be within the years 1 to 9999", broken=beyond_years(name, kind))
        for name, kind in dates.items()
    ]
    require(items, [_required(ITEM), unique, _short(ITEM), *years])
    strings = [name for name, kind in read_schema(items).items() if is_string(kind) or name == ITEM]
    return replace(items, frame=items.frame.with_columns(pl.col(strings).cast(pl.String)))


def _checked_interactions(events: Table, earliest: str, now: float) -> Table:
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
        columns[ORDER] = pl.col(ORDER).cast(pl.Int64, strict=False)
        rules.append(Rule(column=ORDER, must="not be null", broken=pl.col(ORDER).is_null()))
        rules.append(Rule(column=ORDER, must="be below 2^63", broken=columns[ORDER].is_null()))
    if TIMESTAMP in schema:
        require_type(events, TIMESTAMP, "be numbers, dates or ISO 8601 text", is_time)
        columns[TIME] = unix_microseconds(TIMESTAMP, schema[TIMESTAMP])
        rules += _time_rules(schema[TIMESTAMP], columns[TIME], earliest, now)
    if BASKET in schema:
        require_type(events, BASKET, "be text or whole numbers", _is_id)
        columns[BASKET] = pl.col(BASKET).cast(pl.String)
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

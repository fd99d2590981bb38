"""Reads the times of interactions, and the rules that they must keep."""

from dataclasses import replace
from typing import Any

import polars as pl

from dataset.interaction_codes import DAY, MICROSECONDS
from dataset.prepare.schema import ORDER, TIMESTAMP, is_string
from dataset.prepare.timestamps import from_date, is_ambiguous, read_as, unix_microseconds
from dataset.prepare.validation import Rule, Table, read_schema, reading

_READ = "read time"


def with_times(events: Table, kind: pl.DataType) -> tuple[Table, pl.Expr]:
    """The table, and its times in Unix microseconds. Texts are read here, once: it is slow."""
    times = unix_microseconds(TIMESTAMP, kind)
    if not is_string(kind):
        return events, times
    with reading(events.path):
        found = events.frame.select(times.alias(_READ)).collect()
    joined = pl.concat([events.frame.drop(_READ, strict=False), found.lazy()], how="horizontal")
    return replace(events, frame=joined), pl.col(_READ)


def time_rules(kind: pl.DataType, times: pl.Expr, earliest: str, now: float) -> list[Rule]:
    """Rules for timestamps, of which each row breaks at most one."""
    ambiguous = is_ambiguous(TIMESTAMP, kind)
    unknown, future = "unknown time", times > (now + DAY) * MICROSECONDS
    broken = (
        (
            "show whether day or month comes first (write 2024-04-03 for 03/04/2024)",
            ambiguous,
            "",
        ),
        (
            "be a readable time (write 2024-12-31T14:05:00 or Unix time, or drop the row)",
            times.is_null() & ~ambiguous,
            unknown,
        ),
        (
            f"not be before {earliest} (drop rows of unknown time; call places in a history "
            f"{ORDER!r}; `earliest` in data.yaml allows older times)",
            times < from_date(earliest),
            unknown,
        ),
        ("not be in the future (drop or correct the rows)", future, "future"),
    )
    return [
        Rule(column=TIMESTAMP, must=must, broken=rows, drop=drop) for must, rows, drop in broken
    ]


def mixed_times(events: Table) -> tuple[str, ...]:
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

"""Examines a source without writing: what was understood, what is dropped, which rules break."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from dataset.actions import in_words, relative_weights
from dataset.config import DataConfig
from dataset.interaction_codes import MICROSECONDS
from dataset.prepare.actions import doubts_about_actions
from dataset.prepare.attributes import kind_of
from dataset.prepare.build import cleaned_tables
from dataset.prepare.canonical import examined
from dataset.prepare.cleaning import Cleaned, Dropped
from dataset.prepare.item_fields_writer import field_lines
from dataset.prepare.option_notes import notes_on_options
from dataset.prepare.option_rules import broken_by_columns, broken_by_split
from dataset.prepare.recency import when_added
from dataset.prepare.schema import (
    ACTION,
    BASKET,
    ITEM,
    ORDER,
    RELEVANCE,
    SEARCH,
    SPLIT,
    TIME,
    TIMESTAMP,
    TITLE,
    USER,
    attribute_columns,
    text_columns,
)
from dataset.prepare.sources import Source, open_source
from dataset.prepare.split import CODES, assign_split
from dataset.prepare.text_lengths import cut_table
from dataset.prepare.unknown_ids import unknown_ids
from dataset.prepare.validation import InputError, Table, read_schema, reading

EXAMPLE = 40
"""Most characters of an example"""
USES = {
    USER: "user",
    ITEM: "item",
    TIMESTAMP: "time",
    ORDER: "order within a user's history",
    BASKET: "basket",
    ACTION: "action",
    SPLIT: "split",
    SEARCH: "search",
    RELEVANCE: "relevance",
}


@dataclass(frozen=True, kw_only=True)
class ColumnUse:
    """What one column of a file is used for."""

    name: str
    """Our name."""
    named: str
    """Name in the file."""
    type: str
    use: str
    example: str


@dataclass(frozen=True, kw_only=True)
class TableReport:
    """What was understood of one table."""

    path: str
    format: str
    files: int
    megabytes: float
    rows: int
    columns: Sequence[ColumnUse]


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """What was understood of a source."""

    dataset: str
    broken: Sequence[str] = ()
    """Broken rules, each in one line with example rows below."""
    warnings: Sequence[str] = ()
    tables: Mapping[str, TableReport] = field(default_factory=dict)
    users: int = 0
    items: int = 0
    interactions: int = 0
    splits: Mapping[str, int] = field(default_factory=dict)
    times: tuple[str, str] | None = None
    """First and last time of the interactions, UTC; None without timestamps."""
    actions: Mapping[str, int] = field(default_factory=dict)
    """Interactions of each action after cleaning, most frequent first."""
    without_user: Mapping[str, int] = field(default_factory=dict)
    """Rows without a user of each action after cleaning, most frequent first."""
    action_weights: Mapping[str, str] = field(default_factory=dict)
    """How much each action counts, in words."""
    unknown_items: float | None = None
    """Share of the interactions before cleaning whose item is not in the catalogue."""
    dropped: Sequence[Dropped] = ()


def check_source(dataset: str, cache: Path, config: DataConfig) -> CheckReport:
    """Examine a source with the rules of the data stage; broken rules are in the report."""
    try:
        source = open_source(dataset, cache, config)
    except InputError as error:
        return CheckReport(dataset=dataset, broken=str(error).split("\n"))
    tables = examined(
        source, earliest=config.earliest, duplicates=config.duplicates, actions=config.actions
    )
    found = [table.findings for table in tables.tables]
    of_tables = list(dict.fromkeys(message for each in found for message in each.broken))
    report = CheckReport(
        dataset=dataset,
        broken=of_tables,
        warnings=list(dict.fromkeys(note for each in found for note in each.notes)),
    )
    options = dict[str, str]()
    try:
        report = replace(report, tables=_tables(source, tables, config))
        options = broken_by_columns(tables.interactions, config)
        if not of_tables:
            report, of_split = _figures(report, config, tables)
            options = {**options, **of_split, **options}
    except InputError as error:
        of_tables = [*of_tables, *str(error).split("\n")]
    broken = list(dict.fromkeys([*of_tables, *options.values(), *tables.lines]))
    return replace(report, broken=broken)


def _tables(source: Source, canonical: Source, config: DataConfig) -> dict[str, TableReport]:
    items = source.items
    uses = _item_uses(canonical.items, config) if not items.findings.broken else {}
    found = {
        "items": _table(items, uses),
        "interactions": _table(source.interactions, USES),
    }
    if source.users is not None and canonical.users is not None:
        known = {} if source.users.findings.broken else _user_uses(canonical.users)
        found["users"] = _table(source.users, known)
    return found


def _user_uses(users: Table) -> dict[str, str]:
    """What each usable column of the users is used for, by its name."""
    kinds = {name: kind_of(kind) for name, kind in read_schema(users).items()}
    return {name: "user" if name == USER else f"group ({kind})" for name, kind in kinds.items()}


def _item_uses(items: Table, config: DataConfig) -> dict[str, str]:
    """What each usable column of the items is used for, by its name."""
    rows = items.frame.collect()
    texts, attributes = text_columns(rows.schema, config.fields), attribute_columns(rows)
    uses = {ITEM: "item", TITLE: "title"}
    if added := when_added(rows)[1]:
        uses[added] = "when added"
    for name, kind in rows.schema.items():
        said = [uses[name]] if name in uses else []
        said += [f"text {texts.index(name) + 1}"] if name in texts else []
        said += [f"filter ({kind_of(kind)})"] if name in attributes and kind_of(kind) else []
        uses[name] = ", ".join(said)
    return uses


def _table(table: Table, uses: Mapping[str, str]) -> TableReport:
    with reading(table.path):
        first = table.frame.head(100).collect()
        rows = table.frame.select(pl.len()).collect().item()
    columns = [
        ColumnUse(
            name=name,
            named=table.names.get(name, name),
            type=str(kind),
            use=_use(name, uses, table) if uses else "",
            example=_example(first[name]),
        )
        for name, kind in read_schema(table).items()
    ]
    return TableReport(
        path=str(table.path),
        format=table.kind or "text",
        files=len(table.files),
        megabytes=round(sum(file.stat().st_size for file in table.files) / 1e6, 3),
        rows=rows,
        columns=columns,
    )


def _use(name: str, uses: Mapping[str, str], table: Table) -> str:
    inside = ", ".join(
        f"{path}: {use}" for path, use in uses.items() if path.startswith(f"{name}.")
    )
    reason = table.findings.unused.get(name)
    return uses.get(name) or inside or ("not used" if reason is None else f"not used: {reason}")


def _example(values: pl.Series) -> str:
    known = values.drop_nulls()
    value = known.to_list()[0] if len(known) else ""
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= EXAMPLE else f"{text[: EXAMPLE - 1]}…"


def _figures(
    report: CheckReport, config: DataConfig, tables: Source
) -> tuple[CheckReport, dict[str, str]]:
    """The report of tables without broken rules, and options that the interactions do not fit."""
    kept, _ = cut_table(tables.items)
    events = tables.interactions.frame
    with reading(tables.interactions.path):
        rows = events.select(pl.len()).collect().item()
        unknown = unknown_ids(events, kept.frame).rows / max(rows, 1)
    cleaned = cleaned_tables(config, replace(tables, items=kept))
    splitted = assign_split(cleaned.interactions, config)
    path, events_of_users = tables.interactions.path, splitted.interactions.collect()
    broken = broken_by_split(path, events_of_users, splitted, config)
    try:
        field_lines(cleaned.items.collect())
    except InputError as error:
        broken[ITEM] = str(error)
    of_users, without = _actions(events_of_users), _actions(cleaned.baskets)
    names = sorted({*of_users, *without})
    weights = relative_weights(set(names), config.actions)
    tables.interactions.findings.notes.extend(doubts_about_actions(names, config.actions))
    of_tables = replace(tables, items=kept).tables
    warnings = [note for table in of_tables for note in table.findings.notes]
    columns = kept.frame.collect_schema().names()
    of_options = notes_on_options(tables, columns, events_of_users, splitted, config)
    warnings += [*splitted.notes, *of_options]
    report = replace(
        report,
        unknown_items=unknown,
        times=_times(events_of_users),
        actions=of_users,
        without_user=without,
        dropped=cleaned.report,
        warnings=list(dict.fromkeys(warnings)),
        action_weights={name: in_words(weights.get(name, weights[""])) for name in names},
        **_counts(cleaned, splitted.interactions),
    )
    return report, broken


def _counts(cleaned: Cleaned, events: pl.LazyFrame) -> dict[str, Any]:
    counted = events.select(
        users=pl.col(USER).n_unique(),
        rows=pl.len(),
        **{name: (pl.col(SPLIT) == code).sum() for name, code in CODES.items()},
    ).collect()
    row = counted.row(0, named=True)
    return {
        "users": row["users"],
        "items": cleaned.items.select(pl.len()).collect().item(),
        "interactions": row["rows"],
        "splits": {name: row[name] for name in CODES},
    }


def _times(events: pl.DataFrame) -> tuple[str, str] | None:
    if TIME not in events.columns:
        return None
    first, last = events.select(first=pl.col(TIME).min(), last=pl.col(TIME).max()).row(0)
    return None if first is None else (_shown(first), _shown(last))


def _shown(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / MICROSECONDS, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _actions(events: pl.DataFrame | None) -> dict[str, int]:
    if events is None or ACTION not in events.columns:
        return {}
    counts = events.group_by(ACTION).len().sort(["len", ACTION], descending=[True, False])
    return dict(counts.iter_rows())

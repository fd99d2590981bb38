"""The data stage: a source in, arrays out."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import polars as pl

from dataset.arrays import VALID, Dataset, save_dataset
from dataset.config import HOW, NOTES, DataConfig
from dataset.prepare.actions import actions_of, notes_on_actions
from dataset.prepare.assemble import collected, to_arrays
from dataset.prepare.attributes import save_attributes
from dataset.prepare.canonical import canonical
from dataset.prepare.caps import Caps
from dataset.prepare.chosen_days import of_days
from dataset.prepare.cleaning import NO_TITLE, UNKNOWN_ITEM, Cleaned, Dropped, clean
from dataset.prepare.item_fields_writer import save_fields
from dataset.prepare.item_text_columns import rendered
from dataset.prepare.option_notes import notes_on_options
from dataset.prepare.option_rules import (
    broken_by_columns,
    broken_by_split,
    by_split,
    require_options,
)
from dataset.prepare.privacy import ERASED, PrivacyFiles
from dataset.prepare.recency import note_on, when_added
from dataset.prepare.recorded import with_recorded
from dataset.prepare.repeats import notes_on_repeats, with_repeats
from dataset.prepare.reused_baskets import divided_baskets, note_on_reused
from dataset.prepare.schema import (
    ITEM,
    TEXT,
    TIME,
    attribute_columns,
)
from dataset.prepare.sources import Source
from dataset.prepare.split import Splitted, assign_split, cut_times
from dataset.prepare.tables.blank_rows import RULE as BLANK_ROWS
from dataset.prepare.text_lengths import cut_table
from dataset.prepare.unknown_ids import unknown_ids
from dataset.prepare.users import save_users
from dataset.prepare.validation import InputError, Table, first_rows, reading
from dataset.prepare.without_user import TABLE as BASKETS
from dataset.prepare.without_user import (
    clean_baskets,
    divided,
    note_on_idle,
    said_of,
    split_baskets,
    to_baskets,
)
from lineage.counted import counted
from lineage.manifest import checksum, is_up_to_date, writing
from lineage.stages import DATA

logger = logging.getLogger(__name__)
REMEDIES = {
    NO_TITLE: "; fill the titles, or map another column in data.yaml: `columns: {name: title}`"
}
OPTIONS = "; change the options of this rule in data.yaml"
MAY_BE_ALL = (ERASED, BLANK_ROWS)
"""Rules that may leave no interactions: then the shop has none"""
WITHOUT_USER = "without user"
"""Fact of the stage: baskets without a user, and their interactions by split."""
USER_COLUMNS = "user columns"
"""Fact of the stage: kind of every column of the users, by name."""
OPEN = PrivacyFiles()
"""No user is erased, and users are stored under their ids"""


def is_current(
    config: DataConfig,
    source: Source,
    folder: Path,
    privacy: PrivacyFiles = OPEN,
    *,
    recorded: Path | None = None,
) -> bool:
    """Whether the folder holds a complete stage of the same configuration and source."""
    inputs = _checksums(source, privacy, recorded)
    return is_up_to_date(folder, stage=DATA, config=asdict(config), inputs=inputs)


def build(
    config: DataConfig,
    source: Source,
    folder: Path,
    privacy: PrivacyFiles = OPEN,
    *,
    recorded: Path | None = None,
) -> tuple[Dropped, ...]:
    """Check, clean, split and render a source, and write the stage into a folder.

    `recorded` is a file of events that servers recorded, as `export-events` writes it; they are
    interactions, too.

    Beside the arrays the folder gets:
        `attributes.parquet`: one row per item in the order of the items, with the typed columns and
            the short string columns.
        `attributes/`: the postings of the columns that filters can use.
        `fields.*.npy`: texts and attributes of each item as JSON.
        `users/`: the columns of users, if the source has a table of them.
        `cleaning.json`: the rows that each rule dropped.

    Returns:
        The content of `cleaning.json`.

    Raises:
        InputError: the source breaks a rule, or no training rows are left.
    """
    inputs = _checksums(source, privacy, recorded)
    with writing(folder, stage=DATA, config=asdict(config), inputs=inputs) as (partial, facts):
        tables = of_days(read_tables(config, source, recorded), config)
        require_options(broken_by_columns(tables.interactions, config))
        kept, cut = cut_table(tables.items)
        cleaned = cleaned_tables(config, replace(tables, items=kept), privacy)
        with reading(source.interactions.path):
            splitted = assign_split(cleaned.interactions, config)
            items, users, events = collected(cleaned.items, splitted.interactions)
        of_tables = {
            (table.path, note): note
            for table in replace(tables, items=kept).tables
            for note in table.findings.notes
        }
        for path, note in of_tables:  # one file may be both tables
            logger.warning("%s: %s", path, note)
        notes = list(of_tables.values())
        columns = kept.frame.collect_schema().names()
        of_options = notes_on_options(source, columns, events, splitted, config)
        for note in (*splitted.notes, *of_options):
            notes.append(note)
            logger.info("%s: %s", source.interactions.path, note)
        path = source.interactions.path
        require_options(broken_by_split(path, events, splitted, config))
        text = pl.Series(TEXT, rendered(items, config), pl.String)
        others = [] if cleaned.baskets is None else actions_of(cleaned.baskets)
        data = to_arrays(items.with_columns(text), users, events, config.actions, others)
        data = with_repeats(data, config)
        if cleaned.baskets is not None:
            data, facts[WITHOUT_USER] = _with_baskets(data, cleaned.baskets, splitted, items)
        added, column = when_added(items)
        if column:
            notes.append(note_on(column))
            logger.info("%s: %s", source.items.path, notes[-1])
        save_dataset(partial, replace(data, added=added))
        used = sorted({*actions_of(events), *others})
        of_actions = notes_on_actions(used, data.action_weights, config.actions)
        for note in (*of_actions, *notes_on_repeats(data)):
            notes.append(note)
            logger.info("%s: %s", source.interactions.path, note)
        attributes = items.select(ITEM, *attribute_columns(items))
        attributes.write_parquet(partial / "attributes.parquet")
        kinds = save_attributes(partial, attributes)
        save_fields(partial, items)
        if tables.users is not None:
            table = privacy.of_users(tables.users.frame.collect())
            facts[USER_COLUMNS], said = save_users(partial, users, table)
            notes.append(said)
            logger.info("%s: %s", tables.users.path, said)
        report = [dropped.plain() for dropped in cleaned.report]
        (partial / "cleaning.json").write_text(json.dumps(report, indent=1))
        facts.update(_facts(items, users, events, cleaned.report), attributes=kinds, cut_texts=cut)
        since = [f"{name} from {time}" for name, time in cut_times(splitted.cuts).items()]
        facts.update({HOW: ", ".join([splitted.by, *since]), NOTES: notes})
    return cleaned.report


def read_tables(config: DataConfig, source: Source, recorded: Path | None) -> Source:
    """Canonical tables of all days, with recorded events.

    Raises:
        InputError: the source breaks a rule, or events cannot join it.
    """
    tables = canonical(
        source,
        earliest=config.earliest,
        duplicates=config.duplicates,
        actions=config.actions,
    )
    return tables if recorded is None else with_recorded(tables, recorded)


def _checksums(source: Source, privacy: PrivacyFiles, recorded: Path | None) -> dict[str, str]:
    """Checksum of every file that the stage reads, by its name or option."""
    events = {} if recorded is None else {"recorded": checksum(recorded)}
    return {**source.checksums(), **privacy.checksums(), **events}


def cleaned_tables(config: DataConfig, tables: Source, privacy: PrivacyFiles = OPEN) -> Cleaned:
    """Drop rows of canonical tables by every rule; notes unknown items.

    Raises:
        InputError: a rule leaves no rows.
    """
    with reading(tables.interactions.path):
        of_users, without, aside = divided(tables.interactions.frame)
        interactions, steps = privacy.apply(of_users)
        interactions, reused = divided_baskets(interactions, config.actions)
        cleaned = clean(
            tables.items.frame,
            interactions,
            user_core=config.user_core,
            item_core=config.item_core,
            caps=caps_of(config),
        )
        if without is None:
            notes = [note_on_reused(reused)]
        else:
            without, reused_without = divided_baskets(without, config.actions)
            baskets, of_baskets = clean_baskets(without, cleaned.items)
            cleaned = replace(cleaned, baskets=baskets, report=(*cleaned.report, *of_baskets))
            idle = note_on_idle(baskets, config.actions)
            notes = [note_on_reused(reused, reused_without), said_of(baskets), idle]
        tables.interactions.findings.notes.extend(note for note in notes if note)
    before = (*tables.items.findings.dropped, *tables.interactions.findings.dropped, *aside)
    cleaned = replace(cleaned, report=(*before, *steps, *cleaned.report))
    unknown = ""
    for step in cleaned.report:
        if step.table == BASKETS:
            continue
        if step.rule == UNKNOWN_ITEM and step.rows:
            unknown = _unknown(step, interactions.unique(), tables.items.frame)
        if step.lost.users:
            tables.interactions.findings.notes.append(_left_out(step))
        if step.rows_in and not step.rows_out and step.rule not in MAY_BE_ALL:
            table: Table = getattr(tables, step.table)
            with reading(table.path):
                rows = table.frame.head(3).collect()
            if TIME in rows.columns:
                rows = rows.with_columns(pl.from_epoch(TIME, time_unit="us"))
            said = f": {unknown}" if step.rule == UNKNOWN_ITEM else REMEDIES.get(step.rule, OPTIONS)
            raise InputError(
                f"{table.path}: the table must have rows left after the rule {step.rule!r}, "
                f"got none of {step.rows_in:,}{said}; first rows:\n{first_rows(rows)}"
            )
    if unknown:
        tables.interactions.findings.notes.append(unknown)
    return cleaned


def _unknown(step: Dropped, interactions: pl.LazyFrame, items: pl.LazyFrame) -> str:
    """Why interactions have no item: it is not in the catalogue, or has no title."""
    found = unknown_ids(interactions, items)
    said = [found.message(step.rows_in)] if found.rows else []
    if untitled := step.rows - found.rows:
        said.append(
            f"{untitled:,} of {counted(step.rows_in, 'interaction')} "
            f"{'is' if untitled == 1 else 'are'} on items without a title; "
            "fill the titles to keep them"
        )
    return "; ".join(said)


def caps_of(config: DataConfig) -> Caps:
    """Caps of a configuration."""
    return Caps(
        burst_seconds=config.burst_seconds or 0,
        daily=config.daily_cap or 0,
        account=config.account_cap or 0,
        held_out=config.valid_share + config.test_share,
    )


def _left_out(step: Dropped) -> str:
    """What a cap dropped, without the users' ids: notes are logged and published."""
    who = counted(step.lost.users, "user")
    return (
        f"{step.rule!r} leaves out {step.rows:,} of {step.rows_in:,} interactions ({who}); "
        "`cleaning.json` names those who lost most"
    )


def _with_baskets(
    data: Dataset, baskets: pl.DataFrame, splitted: Splitted, items: pl.DataFrame
) -> tuple[Dataset, dict[str, int]]:
    """The dataset with its baskets without a user, and how many there are."""
    baskets = split_baskets(baskets, splitted)
    found = to_baskets(baskets, items, data)
    counts = {BASKETS: len(found), **by_split(baskets)}
    data = replace(data, purchases_without_user=found)
    return replace(data, popularity=data.popularity_before(VALID)), counts


def _facts(
    items: pl.DataFrame, users: pl.DataFrame, events: pl.DataFrame, report: Sequence[Dropped]
) -> dict[str, Any]:
    return {
        "users": len(users),
        "items": len(items),
        "interactions": by_split(events),
        "dropped": {f"{step.table}: {step.rule}": step.rows for step in report},
    }

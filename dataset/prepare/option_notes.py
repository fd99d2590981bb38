"""What the log and the report say of options that change nothing in these data."""

from collections.abc import Collection
from typing import Any

import polars as pl

from dataset.actions import fold_action
from dataset.config import DataConfig
from dataset.prepare.actions import actions_of, positive
from dataset.prepare.schema import TIME
from dataset.prepare.similar import instead, nearest
from dataset.prepare.sources import DEFAULT, Source
from dataset.prepare.split import COLUMN, LEAVE_ONE_OUT, Splitted

OF_TIME = ("cuts", "basket_minutes", "burst_seconds", "daily_cap", "account_cap")
"""Options that do nothing without times"""


def notes_on_options(
    source: Source, items: Collection[str], events: pl.DataFrame, by: Splitted, config: DataConfig
) -> list[str]:
    """One line for each reason why options change nothing.

    Args:
        source: As opened.
        items: Columns of the items.
        events: Cleaned interactions of users.
        by: How they were split.
        config: The options.
    """
    notes = [_overridden(source, config), _fields(items, config)]
    if len(events):
        notes += [_of_time(events, config), _cuts(events, by, config)]
        found = [name for name in actions_of(events) if name]
        notes.append(_actions("actions", list(config.actions), found))
        notes.append(_actions("exclude", list(config.exclude), positive(found, config.actions)))
    return [note for note in notes if note]


def _overridden(source: Source, config: DataConfig) -> str:
    names = [name for name in source.overrides if _is_stated(config, name)]
    if not names:
        return ""
    return f"{source.root} states these itself, and the options do not count: {', '.join(names)}"


def _is_stated(config: DataConfig, name: str) -> bool:
    stated: Any = getattr(config, name)
    return bool(stated != getattr(DEFAULT, name))


def _fields(items: Collection[str], config: DataConfig) -> str:
    known = {*items, *DEFAULT.fields}
    lacking = [name for name in config.fields if name not in known]
    if not lacking:
        return ""
    meant = [nearest(name, items) or name if name in lacking else name for name in config.fields]
    said = instead("fields", list(config.fields), meant)
    return f"fields in data.yaml names columns that the items lack: {', '.join(lacking)}{said}"


def _of_time(events: pl.DataFrame, config: DataConfig) -> str:
    names = [name for name in OF_TIME if getattr(config, name)]
    if TIME in events.columns or not names:
        return ""
    return f"there are no times, and these options do nothing: {', '.join(names)}"


def _cuts(events: pl.DataFrame, by: Splitted, config: DataConfig) -> str:
    if not config.cuts or TIME not in events.columns:
        return ""
    if by.by == COLUMN:
        return f"{COLUMN} decides, and the option cuts does not count"
    if config.split == LEAVE_ONE_OUT:
        return f"split: {LEAVE_ONE_OUT} decides, and the option cuts does not count"
    return ""


def _actions(option: str, names: list[str], found: list[str]) -> str:
    lacking = [name for name in names if fold_action(name) not in found]
    if not lacking:
        return ""
    return (
        f"{option} in data.yaml names actions that the data lack: {', '.join(lacking)}; they have: "
        f"{', '.join(found) or 'none'}"
    )

"""Reads events from lines: all are checked before any is sent."""

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from events.event import check_event
from serving.cli.numbered import Lines, json_object, require_names
from shortlist_client.api.event import Event

FIELDS = tuple(one.name for one in fields(Event))
NUMBERS = ("time", "position")
ID_DIGITS = 32


def events_of_file(path: Path, columns: Mapping[str, str], delimiter: str) -> dict[str, Event]:
    """Events of a `.jsonl` or `.csv` file, also with `.gz` or `.zst`, by their places in it.

    Each needs a `time` or an `event_id`, so that the file may be recorded again and counts once.

    Args:
        path: The file, a folder of parts or a glob.
        columns: Our name of a field by the file's name.
        delimiter: Separates the columns of CSV; empty to detect it.

    Raises:
        ValueError: a line is no event; names the lines.
        OSError: the file cannot be read.
    """
    from dataset.prepare.tables.files import files_at
    from dataset.prepare.tables.scan import lines_of, rows_of

    files, lines, events = files_at(path), Lines(str(path), "event"), dict[str, Event]()
    several, now = len(files.parts) > 1, time.time()
    rows: Iterator[tuple[Path, int, Any]]
    if files.format == "parquet":
        raise ValueError(f"file of events must be .jsonl or .csv, got {path}")
    rows = lines_of(files) if files.format == "jsonl" else rows_of(files, delimiter=delimiter)
    for part, number, row in rows:
        place = f"{part.name}, line {number}" if several else f"line {number}"
        event = lines.convert(place, partial(_event, row, columns, now))
        if event is not None:
            events[place] = event
    lines.finish()
    return events


def events_of_lines(given: Iterable[str]) -> dict[str, Event]:
    """Events of lines of JSON, by their places; one without `time` happens now.

    Raises:
        ValueError: a line is no event; names the lines.
    """
    lines, events, now = Lines("standard input", "event"), dict[str, Event](), time.time()
    for number, line in enumerate(given, 1):
        if line.strip():
            place = f"line {number}"
            made = lines.convert(place, partial(_event, line, {}, now, timed=False))
            if made is not None:
                events[place] = made
    lines.finish()
    return events


def derived_id(event: Event) -> str:
    """Id of an event by its content, the same for the same content."""
    content = [getattr(event, name) for name in FIELDS if name != "event_id"]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:ID_DIGITS]


def _given(row: str | Mapping[str, str | None], columns: Mapping[str, str]) -> dict[str, Any]:
    """Fields of a line of JSON or of a row of CSV, whose blank cells are no fields."""
    if isinstance(row, str):
        return {columns.get(name, name): value for name, value in json_object(row).items()}
    cells = {columns.get(name, name): value for name, value in row.items() if value is not None}
    return {name: _number(name, cell) if name in NUMBERS else cell for name, cell in cells.items()}


def _number(name: str, cell: str) -> int:
    try:
        return int(cell)
    except ValueError:
        raise ValueError(f"{name} must be a whole number, got {cell!r}") from None


def _event(
    row: str | Mapping[str, str | None],
    columns: Mapping[str, str],
    now: float,
    *,
    timed: bool = True,
) -> Event:
    """The event of a line.

    Args:
        row: Line of JSON or row of CSV.
        columns: Our name of a field by the file's name.
        now: Current Unix seconds.
        timed: Whether it must have a `time` or an `event_id`.

    Raises:
        TypeError, ValueError: it is no event; names field and rule.
    """
    given = _given(row, columns)
    require_names(given, FIELDS)
    for name in ("user_id", "item_id", "action"):
        if name not in given:
            raise ValueError(f"{name} must exist, got the fields {', '.join(given)}")
    if timed and "time" not in given and "event_id" not in given:
        raise ValueError("time must exist in a file, so that a rerun counts once, got none")
    event = Event(**given)
    if "event_id" not in given and "time" in given:
        event = Event(**given, event_id=derived_id(event))
    check_event(event, at=now)
    return event

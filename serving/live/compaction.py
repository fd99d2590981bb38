"""Compaction of a change log: drops item changes that every retained release already contains."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path

from dataset.arrays import load_dataset
from index.filters.attributes import Attributes
from index.filters.item_values import ItemValues
from lineage.manifest import RECORD, CorruptArtifactError, OtherFormatError
from lineage.releases import read_record
from lineage.stages import DATA
from serving.catalogue.change_log import Change, decoded, encoded, latest
from serving.catalogue.item_text import data_config, text_of
from serving.catalogue.live_items import fitting
from serving.replication.protocol import ChangeLog, Position
from shortlist_client.api.item import Item

logger = logging.getLogger(__name__)
AT_ONCE = 1_000
"""Changes in one record of a compacted journal, at most"""


def needed_ids(changes: Mapping[str, Change], root: Path) -> set[str]:
    """Ids of the changed items whose change a release does not contain.

    A release contains a change only if it was published after the change. It contains an upsert if
    it has the item with the same text and the same values of its attributes. It contains a deletion
    if it lacks the item. Unpublished stages contain no change.
    """
    if not (root / RECORD).is_file() or not changes:
        return set(changes)
    published = datetime.fromisoformat(read_record(root).when).timestamp()
    older = {item_id for item_id, change in changes.items() if change.when <= published}
    if not older:
        return set(changes)
    data, config = load_dataset(root / DATA), data_config(root)
    rows = {item_id: row for row, item_id in enumerate(data.item_ids) if item_id in older}
    needed = set(changes) - older
    same_text: dict[str, Item] = {}
    for item_id in older:
        item, row = changes[item_id].item, rows.get(item_id)
        if item is not None and row is not None and data.texts[row] == text_of(item, config):
            same_text[item_id] = item
        elif item is not None or row is not None:
            needed.add(item_id)
    attributes = Attributes.load(root / DATA, len(data.item_ids))
    values = attributes.of_release([rows[item_id] for item_id in same_text])
    return needed | {
        item_id
        for item_id, item in same_text.items()
        if values[rows[item_id]] != _with_values(fitting(item, attributes))
    }


def _with_values(values: ItemValues) -> ItemValues:
    return {name: of_name for name, of_name in values.items() if of_name}


@dataclass(frozen=True)
class Compaction:
    """What a compaction did."""

    dropped: int
    """Number of changes that the log no longer has"""
    before: Position
    """End of the log before"""
    after: Position
    """End of the log afterwards"""


def compact(
    log: ChangeLog,
    releases: Sequence[Path],
    *,
    improved: Callable[[Mapping[str, Change]], Mapping[str, Change]] = dict,
) -> Compaction | None:
    """Compact a log: keep the last change of each item if a release needs it.

    Args:
        log: Log of the item changes.
        releases: Folders of the retained releases. Rolling back to any of them must not restore a
            deleted item. Without releases, every item's last change is kept.
        improved: Gives the form in which changes are kept; by default as they are.

    Returns:
        What was done; None if another server changed items meanwhile, and nothing was done.

    Raises:
        ArtifactError: the log is damaged, out of reach, or another process writes it.
        OSError: the disk is full or refuses the write; the log is unchanged.
    """
    tail = log.read(None)
    changes = latest(tail.records)
    written = sum(len(decoded(record)) for record in tail.records)
    needed = set(changes) if not releases else set[str]().union(*_needed(changes, releases))
    kept = improved({i: change for i, change in changes.items() if i in needed})
    same = all(kept[i] is changes[i] for i in kept)
    if len(kept) == written and same:
        return Compaction(0, tail.position, tail.position)
    records = [
        encoded(part[start : start + AT_ONCE])
        for part in _same_models(list(kept.values()))
        for start in range(0, len(part), AT_ONCE)
    ]
    after = log.replace(records, after=tail.position)
    return None if after is None else Compaction(written - len(kept), tail.position, after)


def _needed(changes: Mapping[str, Change], releases: Sequence[Path]) -> Iterable[set[str]]:
    for release in releases:
        try:
            yield needed_ids(changes, release)
        except (CorruptArtifactError, OtherFormatError) as error:
            logger.warning("all changes are kept because a release cannot be read: %s", error)
            yield set(changes)


def _same_models(changes: Sequence[Change]) -> Iterable[list[Change]]:
    """Runs of consecutive changes from the same models; a deletion joins the run before it."""
    encoded_by = ""
    keys = [encoded_by := change.encoded_by or encoded_by for change in changes]
    for _, group in groupby(range(len(changes)), lambda place: keys[place]):
        yield [changes[place] for place in group]

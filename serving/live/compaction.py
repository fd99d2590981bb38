"""Compaction of the journal: drops item changes that every retained release already contains."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path

from dataset.arrays import load_dataset
from index.filters.attributes import Attributes
from index.filters.item_values import ItemValues
from lineage.journal import Journal, read_journal
from lineage.manifest import RECORD, CorruptArtifactError, OtherFormatError
from lineage.releases import read_record
from lineage.stages import DATA
from serving.catalogue.change_log import Change, decoded, encoded, latest
from serving.catalogue.item_text import data_config, text_of
from serving.catalogue.live_items import fitting
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


def compact(
    journal: Journal, releases: Sequence[Path], *, reencoded: Mapping[str, Change] | None = None
) -> int:
    """Compact a journal: keep the last change of each item if a release needs it.

    Args:
        journal: Journal of the item changes.
        releases: Folders of the retained releases. Rolling back to any of them must not restore a
            deleted item. Without releases, every item's last change is kept.
        reencoded: Changes with vectors of other models, by item id; they replace the recorded ones.

    Returns:
        Number of changes dropped.

    Raises:
        OSError: the disk is full or refuses the write; the journal is unchanged.
    """
    records = read_journal(journal.path)
    changes = latest(records)
    written = sum(len(decoded(record)) for record in records)
    needed = set(changes) if not releases else set[str]().union(*_needed(changes, releases))
    kept = [
        (reencoded or {}).get(item_id, change)
        for item_id, change in changes.items()
        if item_id in needed
    ]
    if reencoded or len(kept) < written:
        journal.replace(
            [
                encoded(part[start : start + AT_ONCE])
                for part in _same_models(kept)
                for start in range(0, len(part), AT_ONCE)
            ]
        )
    return written - len(kept)


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

"""How long changes of items are kept: until every release that is kept holds them."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path

from dataset.arrays import load_dataset
from index.filters.attributes import Attributes
from index.filters.item_values import Held
from lineage.journal import Journal, read_journal
from lineage.manifest import RECORD, CorruptArtifactError
from lineage.releases import read_record
from serving.catalogue.change_log import Change, decoded, encoded, latest
from serving.catalogue.item_text import data_config, text_of
from serving.catalogue.live_items import fitting
from shortlist_client.api.item import Item

logger = logging.getLogger(__name__)
AT_ONCE = 1_000
"""Changes of a record that was written anew"""


def unsettled(changes: Mapping[str, Change], root: Path) -> set[str]:
    """Ids of the changes that a release needs: those that are newer or that it does not hold.

    A release holds an upsert when it was published after it and has the item with the same text
    and the same attributes, as far as it has such; it holds a deletion when it was published after
    it and lacks the item. Stages that were not published need all.
    """
    if not (root / RECORD).is_file() or not changes:
        return set(changes)
    published = datetime.fromisoformat(read_record(root).when).timestamp()
    older = {item_id for item_id, change in changes.items() if change.when <= published}
    if not older:
        return set(changes)
    data, config = load_dataset(root / "data"), data_config(root)
    rows = {item_id: row for row, item_id in enumerate(data.item_ids) if item_id in older}
    needed = set(changes) - older
    same_text: dict[str, Item] = {}
    for item_id in older:
        item, row = changes[item_id].item, rows.get(item_id)
        if item is not None and row is not None and data.texts[row] == text_of(item, config):
            same_text[item_id] = item
        elif item is not None or row is not None:
            needed.add(item_id)
    attributes = Attributes.load(root / "data", len(data.item_ids))
    held = attributes.of_release([rows[item_id] for item_id in same_text])
    return needed | {
        item_id
        for item_id, item in same_text.items()
        if held[rows[item_id]] != _with_values(fitting(item, attributes))
    }


def _with_values(held: Held) -> Held:
    return {name: values for name, values in held.items() if values}


def fold(
    journal: Journal, releases: Sequence[Path], *, remade: Mapping[str, Change] | None = None
) -> int:
    """Write a journal anew without what none of the releases needs and what was changed again.

    Args:
        journal: Of the changes.
        releases: Those that are kept: going back to any of them brings nothing deleted back.
        remade: Changes whose vectors were made anew, by item id; they take the others' place.

    Returns:
        Changes that were dropped.

    Raises:
        OSError: the disk is full or refuses; the journal is as before.
    """
    records = read_journal(journal.path)
    changes = latest(records)
    written = sum(len(decoded(record)) for record in records)
    needed = set(changes) if not releases else set[str]().union(*_needed(changes, releases))
    left = [
        (remade or {}).get(item_id, change)
        for item_id, change in changes.items()
        if item_id in needed
    ]
    if remade or len(left) < written:
        journal.replace(
            [
                encoded(part[start : start + AT_ONCE])
                for part in _alike(left)
                for start in range(0, len(part), AT_ONCE)
            ]
        )
    return written - len(left)


def _needed(changes: Mapping[str, Change], releases: Sequence[Path]) -> Iterable[set[str]]:
    for release in releases:
        try:
            yield unsettled(changes, release)
        except CorruptArtifactError as error:
            logger.warning("changes stay for the sake of a damaged release: %s", error)
            yield set(changes)


def _alike(changes: Sequence[Change]) -> Iterable[list[Change]]:
    """Neighbours in time whose vectors were made by the same; deletions go with either."""
    made_by = ""
    keys = [made_by := change.made_by or made_by for change in changes]
    for _, group in groupby(range(len(changes)), lambda place: keys[place]):
        yield [changes[place] for place in group]

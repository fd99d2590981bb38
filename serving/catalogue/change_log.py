"""Item changes between two rebuilds, and their encoding in the journal."""

import json
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineage.manifest import RECORD
from shortlist_client.api.item import Item

CHANGES = "CHANGES"
"""Name of the journal file, in the folder of the releases or of unpublished stages"""
_LENGTH = struct.Struct("<I")
KINDS_BEFORE = ("<f4", "<f2")
"""Number types of vectors and states in records without `kinds`"""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One item, upserted or deleted."""

    item_id: str
    when: float
    """Unix seconds"""
    item: Item | None
    """The new form; None if the item was deleted"""
    vector: NDArray[np.float32] | None = None
    """(dimension,) embedding; None for a deleted item"""
    state: NDArray[np.int8] | None = None
    """(bytes,) quantised state of the ranker; None for a deleted item"""
    encoded_by: str = ""
    """Fingerprints of the stages that encoded vector and state"""


def encoded(changes: Sequence[Change]) -> bytes:
    """One journal record of some changes, whose vectors all come from the same models."""
    upserts = [change for change in changes if change.item is not None]
    encoded_by = {change.encoded_by for change in upserts} or {""}
    assert len(encoded_by) == 1, encoded_by
    vectors, states = (
        np.stack([getattr(change, name) for change in upserts] or [np.empty(0, kind)])
        for name, kind in (("vector", np.float32), ("state", np.int8))
    )
    head = {
        "made_by": encoded_by.pop(),
        "widths": [vectors.shape[1], states.shape[1]],
        "kinds": [vectors.dtype.str, states.dtype.str],
        "changes": [
            [c.item_id, c.when, None if c.item is None else c.item.described()] for c in changes
        ],
    }
    text = json.dumps(head, ensure_ascii=False).encode(errors="surrogatepass")
    return _LENGTH.pack(len(text)) + text + vectors.tobytes() + states.tobytes()


def decoded(record: bytes) -> list[Change]:
    """The changes of a record, oldest first."""
    start = _LENGTH.size
    end = start + _LENGTH.unpack_from(record)[0]
    head = json.loads(record[start:end].decode(errors="surrogatepass"))
    count = sum(item is not None for _, _, item in head["changes"])
    parts = []
    for width, kind in zip(head["widths"], head.get("kinds", KINDS_BEFORE), strict=True):
        flat: NDArray[Any] = np.frombuffer(record, np.dtype(kind), count * width, end)
        end += flat.nbytes
        parts.append(iter(flat.reshape(count, width)))
    return [
        Change(
            item_id=item_id,
            when=when,
            item=None if item is None else Item(item_id=item_id, **item),
            vector=None if item is None else next(parts[0]),
            state=None if item is None else next(parts[1]),
            encoded_by="" if item is None else head["made_by"],
        )
        for item_id, when, item in head["changes"]
    ]


def latest(records: Iterable[bytes]) -> dict[str, Change]:
    """The last change of every changed item by item id, oldest change first."""
    found: dict[str, Change] = {}
    for record in records:
        for change in decoded(record):
            found.pop(change.item_id, None)
            found[change.item_id] = change
    return found


def changes_path(root: Path) -> Path:
    """Path of the journal for a published release or for unpublished stages."""
    return (root.parent if (root / RECORD).is_file() else root) / CHANGES

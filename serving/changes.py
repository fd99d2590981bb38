"""Changes of items between two rebuilds: what they are, and how they are written down."""

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dataset.config import DataConfig
from dataset.rendering import item_text
from lineage.manifest import RECORD, read_manifest
from serving.query import InvalidQueryError, Limits, check_id

CHANGES = "CHANGES"
"""Beside a dataset's releases; beside the stages where they are served as they were built."""
ITEM_BYTES = 1 << 16
"""Of an item's fields together, as JSON"""
_LENGTH = struct.Struct("<I")
KINDS_BEFORE = ("<f4", "<f2")
"""Of vectors and states in records that do not tell"""


@dataclass(frozen=True, kw_only=True)
class Item:
    """An item as a shop describes it."""

    item_id: str
    title: str
    texts: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    """Other text columns (`brand`, `category`, …), as in `items.parquet`."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """Typed columns that the release has, by which filters look: plain JSON values, times as
    ISO 8601 writes them. A text that is a keyword in the release is looked at too."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One item, upserted or deleted."""

    item_id: str
    when: float
    """Unix seconds"""
    item: Item | None
    """None where it was deleted"""
    vector: NDArray[np.float32] | None = None
    """(dimension,) embedding; None of a deleted item"""
    state: NDArray[np.int8] | None = None
    """(bytes,) what the ranker keeps of it; None of a deleted item"""
    made_by: str = ""
    """Fingerprints of what made vector and state"""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How many items there are, and how many of them changed since the release was built."""

    items: int
    """That can be recommended."""
    upserted: int
    """Of these, upserted since."""
    deleted: int
    """Items of the release that were deleted since."""
    journal_bytes: int
    """Of the journal of changes."""


@runtime_checkable
class Changeable(Protocol):
    """An engine whose items can be changed, and looked at, from any thread while it is asked."""

    @property
    def counts(self) -> Counts:
        """How many items there are as of now."""

    def check(self, item: Item) -> None:
        """Refuse an item that breaks a rule.

        Raises:
            InvalidQueryError: names the field, the rule and the value.
        """

    def upsert(self, items: Sequence[Item]) -> None:
        """Add items or put new forms in the place of old ones: all of them, or none."""

    def delete(self, item_ids: Sequence[str]) -> None:
        """Take items out of every answer: all of them, or none."""

    def find(self, item_id: str) -> "Known | None":
        """An item as of now; None where there is none, or none any more."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """An item of the catalogue."""

    item: Item
    """As it was upserted, or as the release's data describe it: upserting it changes nothing."""
    changed: bool
    """Whether it was upserted since the release was built."""


def check_item(item: Item, limits: Limits) -> None:
    """Refuse an item that breaks a rule.

    Raises:
        InvalidQueryError: names the field, the rule and the value.
    """
    check_id("item_id", item.item_id, limits)
    if not item.title.strip():
        raise InvalidQueryError(f"title of {item.item_id!r} must not be empty, got {item.title!r}")
    for name, value in item.texts.items():
        lines = [value] if isinstance(value, str) else value
        if not isinstance(lines, list | tuple) or not all(isinstance(line, str) for line in lines):
            raise InvalidQueryError(
                f"texts of {item.item_id!r} must be strings or lists of them, got {name}={value!r}"
            )
    try:
        size = len(json.dumps(_plain(item), allow_nan=False).encode())
    except (TypeError, ValueError) as error:
        raise InvalidQueryError(
            f"attributes of {item.item_id!r} must be plain JSON values: {error}"
        ) from error
    if size > ITEM_BYTES:
        raise InvalidQueryError(
            f"fields of {item.item_id!r} must have at most {ITEM_BYTES} bytes, got {size}"
        )


def text_of(item: Item, config: DataConfig) -> str:
    """What the item tower reads of an item, as the data stage would have rendered it."""
    return item_text(fields_of(item, config), config)


def fields_of(item: Item, config: DataConfig) -> dict[str, Any]:
    """What the text of an item is rendered from, by name."""
    read = {name: value for name, value in item.attributes.items() if name in config.fields}
    return {**read, **item.texts, "title": item.title}


def encoded(changes: Sequence[Change]) -> bytes:
    """One record of some changes, of which all vectors were made by the same."""
    upserts = [change for change in changes if change.item is not None]
    made_by = {change.made_by for change in upserts} or {""}
    assert len(made_by) == 1, made_by
    vectors, states = (
        np.stack([getattr(change, name) for change in upserts] or [np.empty(0, kind)])
        for name, kind in (("vector", np.float32), ("state", np.int8))
    )
    head = {
        "made_by": made_by.pop(),
        "widths": [vectors.shape[1], states.shape[1]],
        "kinds": [vectors.dtype.str, states.dtype.str],
        "changes": [
            [c.item_id, c.when, None if c.item is None else _plain(c.item)] for c in changes
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
            made_by="" if item is None else head["made_by"],
        )
        for item_id, when, item in head["changes"]
    ]


def latest(records: Iterable[bytes]) -> dict[str, Change]:
    """The last change of every item that changed, by its id, oldest first."""
    found: dict[str, Change] = {}
    for record in records:
        for change in decoded(record):
            found.pop(change.item_id, None)
            found[change.item_id] = change
    return found


def changes_path(root: Path) -> Path:
    """Where the changes to a published release, or to stages as they were built, are kept."""
    return (root.parent if (root / RECORD).is_file() else root) / CHANGES


def data_config(root: Path) -> DataConfig:
    """How the data stage of a release rendered its texts."""
    config = read_manifest(root / "data", "data").config
    named = {name: config[name] for name in ("fields", "token_budget") if name in config}
    if "fields" in named:
        named["fields"] = tuple(named["fields"])
    return DataConfig(**named)


def _plain(item: Item) -> dict[str, Any]:
    return {
        "title": item.title,
        "texts": dict(item.texts),
        "attributes": dict(item.attributes),
    }

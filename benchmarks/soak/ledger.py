"""What the writers of a soak began and what the server acknowledged, so that answers can be judged.

Every item has one writer, which writes one version after another. A version is a title, or None
for a deletion. A failed call may or may not have been applied: its version is begun but not
acknowledged.
"""

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field

VISIBLE_SECONDS = 1.0
"""An acknowledged change is in the answers of every replica after this time."""


@dataclass
class _Versions:
    """All versions of one item, oldest first."""

    titles: list[str | None] = field(default_factory=lambda: [None])
    """Titles; the first stands for the time before the item existed"""
    acknowledged: list[tuple[float, int]] = field(default_factory=lambda: [(0.0, 0)])
    """Times of acknowledgement and positions in `titles`, ascending"""


class ItemLedger:
    """The versions of every item that the soak writes. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: dict[str, _Versions] = defaultdict(_Versions)

    def begin(self, item_id: str, title: str | None) -> int:
        """Note a version before it is sent; returns its position."""
        with self._lock:
            self._items[item_id].titles.append(title)
            return len(self._items[item_id].titles) - 1

    def acknowledge(self, item_id: str, position: int) -> None:
        """Note that the server acknowledged a version."""
        with self._lock:
            self._items[item_id].acknowledged.append((time.monotonic(), position))

    def item_ids(self) -> list[str]:
        """Ids of all items written so far."""
        with self._lock:
            return list(self._items)

    def allowed(self, item_id: str, asked: float) -> set[str | None] | None:
        """Titles that an answer may show; None for an item that the soak does not write.

        Args:
            item_id: The item.
            asked: When the request was sent, seconds of `time.monotonic`.
        """
        with self._lock:
            versions = self._items.get(item_id)
            if versions is None:
                return None
            settled = [p for when, p in versions.acknowledged if when <= asked - VISIBLE_SECONDS]
            return set(versions.titles[settled[-1] :])

    def final(self) -> dict[str, set[str | None]]:
        """The titles that each item may have at the end: the last acknowledged one or later."""
        with self._lock:
            return {
                item_id: set(versions.titles[versions.acknowledged[-1][1] :])
                for item_id, versions in self._items.items()
            }

    @property
    def acknowledged(self) -> int:
        """Number of acknowledged versions."""
        with self._lock:
            return sum(len(versions.acknowledged) - 1 for versions in self._items.values())


class EventLedger:
    """The acknowledged events. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: set[str] = set()
        self._bought: dict[str, list[tuple[float, str]]] = defaultdict(list)

    def acknowledge(self, user_id: str, item_id: str, event_id: str) -> None:
        """Note an acknowledged purchase."""
        with self._lock:
            self._ids.add(event_id)
            self._bought[user_id].append((time.monotonic(), item_id))

    def bought(self, user_id: str, asked: float) -> set[str]:
        """Items whose purchases were acknowledged before a request was sent."""
        with self._lock:
            return {item_id for when, item_id in self._bought[user_id] if when <= asked}

    @property
    def ids(self) -> set[str]:
        """Ids of all acknowledged events."""
        with self._lock:
            return set(self._ids)

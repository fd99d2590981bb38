"""Items as a shop describes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shortlist_client.api.checks import STRING, check, check_mapping

TITLE_BYTES = 2_048
"""Maximum size of a title, bytes of UTF-8: every item of an answer has one."""
TEXT_BYTES = 16_384
"""Maximum size of each other text, bytes of UTF-8."""
ITEM_BYTES = 1 << 16
"""Maximum size of an item's fields together, as JSON."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """An item as a shop describes it."""

    item_id: str
    title: str
    texts: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    """Other text columns (`brand`, `category`, …), as in `items.parquet`."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """Attributes of the release, for filters: plain JSON values, times in ISO 8601. Filters also
    use the texts that are keyword attributes of the release."""

    def __post_init__(self) -> None:
        check("item_id", self.item_id, STRING)
        check("title", self.title, STRING)
        for name in ("texts", "attributes"):
            check_mapping(name, getattr(self, name))
            object.__setattr__(self, name, dict(getattr(self, name)))  # the caller keeps its own

    def described(self) -> dict[str, Any]:
        """All fields except the id, by name."""
        return {
            "title": self.title,
            "texts": dict(self.texts),
            "attributes": dict(self.attributes),
        }


@dataclass(frozen=True, kw_only=True)
class KnownItem:
    """An item of the catalogue."""

    item: Item
    """As it was upserted, or as the release describes it. Upserting it changes nothing."""
    changed: bool
    """Whether it was upserted since the release was built."""

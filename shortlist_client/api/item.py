"""Items as a shop describes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shortlist_client.api.checks import STRING, check, check_mapping


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

    def __post_init__(self) -> None:
        check("item_id", self.item_id, STRING)
        check("title", self.title, STRING)
        check_mapping("texts", self.texts)
        check_mapping("attributes", self.attributes)

    def described(self) -> dict[str, Any]:
        """Everything but the id, by the names of the fields."""
        return {
            "title": self.title,
            "texts": dict(self.texts),
            "attributes": dict(self.attributes),
        }


@dataclass(frozen=True, kw_only=True)
class KnownItem:
    """An item of the catalogue."""

    item: Item
    """As it was upserted, or as the release's data describe it: upserting it changes nothing."""
    changed: bool
    """Whether it was upserted since the release was built."""

"""Items without HTML, as the data stage makes them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dataset.plain_text import plain_text
from shortlist_client.api.item import Item


def plain_item(item: Item) -> Item:
    """An item with the plain text of its title, texts and attributes."""
    plain = replace(
        item,
        title=plain_text(item.title),
        texts=_plain_values(item.texts),
        attributes=_plain_values(item.attributes),
    )
    return item if plain == item else plain


def _plain_values(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in fields.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, list | tuple):
        return type(value)(plain_text(one) if isinstance(one, str) else one for one in value)
    return value

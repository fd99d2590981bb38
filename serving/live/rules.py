"""Rules of a change of several items."""

from collections.abc import Mapping, Sequence
from typing import Any

from serving.live.item_changes import LiveState
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.item import Item


def require_distinct(item_ids: Sequence[str]) -> None:
    """Refuse a change that names an item twice.

    Raises:
        InvalidRequestError: names the first such item.
    """
    seen: set[str] = set()
    for item_id in item_ids:
        if item_id in seen:
            raise InvalidRequestError(f"item_id must not come twice in one change, got {item_id!r}")
        seen.add(item_id)


def changed_items(items: Sequence[Item], state: LiveState) -> list[Item]:
    """The items that differ from their current form, or have none."""
    return [item for item in items if not _same(item, state.known(item.item_id))]


def _same(item: Item, known: Item | None) -> bool:
    return known is not None and _plain(item.described()) == _plain(known.described())


def _plain(value: Any) -> Any:
    """A JSON value whose equality is that of JSON: 1 is 1.0, but not `true`."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return (value,) if isinstance(value, bool) else value

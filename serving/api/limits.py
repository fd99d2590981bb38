"""Limits on one request, and the rules of ids and items."""

import json
from dataclasses import dataclass

from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.item import Item


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits on one request; a request beyond them is an InvalidRequestError."""

    shortlist: int = 200
    """Items recalled, and the largest `limit`."""
    history: int = 10_000
    """Item ids in a history."""
    candidates: int = 200
    """Item ids that `Rank` orders."""
    id_length: int = 256
    """Characters of an id."""
    search_length: int = 1_000
    """Characters of a search."""
    clauses: int = 100
    """Clauses of a request's filters."""
    values: int = 1_000
    """Values of a clause."""
    excluded: int = 10_000
    """Item ids in `exclude`."""
    embedded: int = 64
    """Items or texts of one `Embed`."""
    text_length: int = 5_000
    """Characters of a text of `Embed`."""


def check_id(name: str, value: str, limits: Limits) -> None:
    """Refuse an id that is empty or too long.

    Raises:
        InvalidRequestError: names the field, the rule and the length.
    """
    if not 1 <= len(value) <= limits.id_length:
        raise InvalidRequestError(
            f"{name} must have 1 to {limits.id_length} characters, got {len(value)}"
        )


ITEM_BYTES = 1 << 16
"""Largest size of an item's fields together, as JSON."""


def check_item(item: Item, limits: Limits) -> None:
    """Refuse an item that breaks a rule.

    Raises:
        InvalidRequestError: names the field, the rule and the value.
    """
    check_id("item_id", item.item_id, limits)
    if not item.title.strip():
        raise InvalidRequestError(
            f"title of {item.item_id!r} must not be empty, got {item.title!r}"
        )
    for name, value in item.texts.items():
        lines = [value] if isinstance(value, str) else value
        if not isinstance(lines, list | tuple) or not all(isinstance(line, str) for line in lines):
            raise InvalidRequestError(
                f"texts of {item.item_id!r} must be strings or lists of them, got {name}={value!r}"
            )
    try:
        size = len(json.dumps(item.described(), allow_nan=False).encode())
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(
            f"attributes of {item.item_id!r} must be plain JSON values: {error}"
        ) from error
    if size > ITEM_BYTES:
        raise InvalidRequestError(
            f"fields of {item.item_id!r} must have at most {ITEM_BYTES} bytes, got {size}"
        )

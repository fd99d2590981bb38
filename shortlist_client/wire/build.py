"""Builds messages, naming the field of a value that no message can hold."""

from collections.abc import Mapping
from numbers import Integral
from typing import Any, TypeVar

from google.protobuf.message import Message

from shortlist_client.api.checks import shown

M = TypeVar("M", bound=Message)
TOO_LARGE = (ValueError, OverflowError)
"""What protobuf raises for a number beyond its type, and for text that is not valid Unicode."""
EXACT = 1 << 53
"""Largest whole number up to which a double holds every one."""
NAMES = {
    "history_item_ids": "history",
    "exclude_item_ids": "exclude",
    "candidate_item_ids": "candidates",
}
"""Names of fields in the client, where the contract has others."""


def built(kind: type[M], **fields: Any) -> M:
    """A message with these fields; None is absent.

    Raises:
        ValueError: a number is beyond its type or a text is not valid Unicode; names the field.
    """
    try:
        return kind(**fields)
    except TOO_LARGE as error:
        for name, value in fields.items():
            _check(kind, name, value)
        raise ValueError(str(error)) from error


def _check(kind: type[Message], name: str, value: Any) -> None:
    """Raise if a message cannot hold the value of a field, or one of its members."""
    several = isinstance(value, list | tuple)
    for place, one in enumerate(value if several else (value,)):
        try:
            kind(**{name: [one] if several else one})
        except TOO_LARGE as error:
            where = f"{NAMES.get(name, name)}[{place}]" if several else NAMES.get(name, name)
            raise refused(where, one, error) from None


def refused(name: str, value: object, error: Exception) -> ValueError:
    """The error of a value that no message can hold.

    Args:
        name: Name of the field.
        value: The value.
        error: What protobuf raised for it.
    """
    rule = "be valid Unicode" if isinstance(error, UnicodeError) else "fit the contract's type"
    return ValueError(f"{name} must {rule}, got {shown(value)}")


def check_text(name: str, fields: Mapping[str, Any]) -> None:
    """Refuse names of fields that are not valid Unicode.

    Raises:
        ValueError: names the mapping and the name.
    """
    for one in fields:
        try:
            one.encode()
        except UnicodeError as error:
            raise refused(f"a key of {name}", one, error) from None


def needs_integer(value: object) -> bool:
    """Whether a value is a whole number that fits 64 bits, but not a double."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        return False
    return abs(int(value)) > EXACT and -(1 << 63) <= int(value) < 1 << 63

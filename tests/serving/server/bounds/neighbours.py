"""Messages that differ from another one in a single field, found over its descriptors."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor as Field

NUMBERS = (1, 10, 100, 1_000)
"""Values that a number takes in turn"""
NUMERIC = (Field.CPPTYPE_INT32, Field.CPPTYPE_INT64, Field.CPPTYPE_UINT32, Field.CPPTYPE_UINT64)


def neighbours(message: Any, others: Sequence[Any] = ()) -> Iterator[Any]:
    """Messages in which one field is cleared, halved, flipped or has another value.

    In a list of messages, all of them change alike.

    Args:
        message: Message to change.
        others: Messages of the same type, whose fields it takes over one by one.
    """
    for field in message.DESCRIPTOR.fields:
        theirs = [getattr(one, field.name) for one in others if _has(one, field)]
        for value in (*_values(message, field, theirs), *theirs):
            changed = type(message)()
            changed.CopyFrom(message)
            changed.ClearField(field.name)
            if value is not None:
                arguments = {field.name: value}
                changed.MergeFrom(type(message)(**arguments))
            if changed != message:
                yield changed


def _has(message: Any, field: Field) -> bool:
    return any(held is field for held, _ in message.ListFields())


def _values(message: Any, field: Field, theirs: Sequence[Any]) -> Iterator[Any]:
    """Other values of a field; None for no value."""
    held = getattr(message, field.name)
    yield None
    if field.is_repeated:
        yield from _lists(held, field)
    elif field.message_type is not None:
        yield from neighbours(held, theirs)
    elif field.cpp_type == Field.CPPTYPE_ENUM:
        yield from (one.number for one in field.enum_type.values)
    elif field.cpp_type == Field.CPPTYPE_BOOL:
        yield not held
    elif field.cpp_type in NUMERIC:
        yield from NUMBERS


def _lists(held: Any, field: Field) -> Iterable[Any]:
    if field.message_type is None:
        yield held[: len(held) // 2]
    elif held and not field.message_type.GetOptions().map_entry:
        yield held[: len(held) // 2]
        for first in neighbours(held[0]):
            yield [first] * len(held)

"""Type checks that requests, items and events make when they are created."""

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from numbers import Integral, Real
from typing import Any, NamedTuple

_shown = reprlib.Repr()
_shown.maxstring = _shown.maxother = 60


class Kind(NamedTuple):
    """A kind of value, as error messages call it."""

    one: str
    many: str
    types: tuple[type, ...]

    def holds(self, kind: type) -> bool:
        """Whether instances of a class are of this kind; booleans are not numbers."""
        return issubclass(kind, self.types) and (kind is not bool or bool in self.types)


STRING = Kind("a string", "strings", (str,))
WHOLE_NUMBER = Kind("a whole number", "whole numbers", (Integral,))
NUMBER = Kind("a number", "numbers", (Real,))
FLAG = Kind("True or False", "booleans", (bool,))
ATTRIBUTE_VALUE = Kind(
    "a string, number, boolean, date or time",
    "strings, numbers, booleans, dates or times",
    (str, Real, bool, date),
)


def check(name: str, value: object, kind: Kind) -> None:
    """Refuse a value of another kind.

    Raises:
        TypeError: names the field and the value.
    """
    if not kind.holds(type(value)):
        raise _wrong(name, kind.one, value)


def members(name: str, values: object, kind: Kind) -> tuple[Any, ...]:
    """The members of a sequence, as a tuple.

    Raises:
        TypeError: it is not a sequence, or a member is of another kind; names the field and the
            value.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Sequence):
        raise _wrong(name, f"a list or tuple of {kind.many}", values)
    for other in set(map(type, values)):  # quick for a history of 10,000 items
        if not kind.holds(other):
            place, wrong = next((n, v) for n, v in enumerate(values) if type(v) is other)
            raise _wrong(f"{name}[{place}]", kind.one, wrong)
    return tuple(values)


def check_iterable(name: str, values: object, kind: Kind) -> None:
    """Refuse a single string and any value that is not iterable.

    Raises:
        TypeError: names the field and the value.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise _wrong(name, f"an iterable of {kind.many}", values)


def check_mapping(name: str, value: object, kind: Kind | None = None) -> None:
    """Refuse a value that is not a mapping with string keys and, if given, values of a kind.

    Raises:
        TypeError: names the field and the value.
    """
    if not isinstance(value, Mapping):
        raise _wrong(name, "a mapping", value)
    for key in value:
        if type(key) is not str:  # quick for a journal of many items
            check(f"a key of {name}", key, STRING)
    if kind is not None:
        for key, one in value.items():
            check(f"{name}[{key!r}]", one, kind)


def shown(value: object) -> str:
    """A value in an error message, cut."""
    return _shown.repr(value)


def _wrong(name: str, rule: str, value: object) -> TypeError:
    return TypeError(f"{name} must be {rule}, got {shown(value)}")

"""Attribute values of a single item: reads them from JSON."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dataset.attribute_kind import Kind
from index.filters.clauses import as_keyword, as_number
from shortlist_client.api.filters import Value

Values = frozenset[Any]
"""Values of one attribute: keywords and booleans by `as_keyword`, others by `as_number`."""
ItemValues = Mapping[str, Values]
"""Values of one item, by attribute."""
NOTHING: Values = frozenset()


def read(name: str, kind: Kind, value: Any) -> Values:
    """Values of one attribute, read from JSON.

    Args:
        name: Name of the attribute.
        kind: Kind of the attribute.
        value: Plain JSON: a string or a list of strings, a number, a boolean, or an ISO 8601 time,
            UTC unless it names a zone. None and empty strings are no values.

    Raises:
        ValueError: the value is of another kind.
    """
    given = value if kind == "keyword" and isinstance(value, list | tuple) else [value]
    known = [_typed(name, kind, one) for one in given if one is not None and one != ""]
    return frozenset(map(as_keyword if kind in ("keyword", "boolean") else as_number, known))


def _typed(name: str, kind: Kind, value: Any) -> Value:
    if kind == "keyword" and isinstance(value, str):
        return value
    if kind == "boolean" and isinstance(value, bool):
        return value
    if kind == "number" and isinstance(value, int | float) and not isinstance(value, bool):
        return _finite(name, value)
    if kind == "time" and isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    rule = {"time": "an ISO 8601 time", "keyword": "a string or a list of strings"}
    raise ValueError(f"attribute {name!r} must be {rule.get(kind, f'a {kind}')}, got {value!r}")


def _finite(name: str, value: float) -> float:
    """The number as it is: a whole number keeps its digits."""
    try:
        finite = math.isfinite(value)
    except OverflowError:
        finite = False
    if not finite:
        raise ValueError(f"attribute {name!r} must be finite, got {value}")
    return value

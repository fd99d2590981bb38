"""Checks the clauses of a filter and converts their values; importable without FAISS.

Errors:
    FilterError: a clause is invalid.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from math import inf
from numbers import Integral
from typing import Any

from dataset.attribute_kind import Kind
from shortlist_client.api.filters import EPOCH, AnyOf, Clause, Range, Value, moment


class FilterError(ValueError):
    """A clause of a filter is invalid; the message names the rule."""


def check_clause(clause: Clause, kinds: Mapping[str, Kind]) -> None:
    """Raise unless a clause is valid.

    Args:
        clause: Clause to check.
        kinds: Kind of every attribute, by name.

    Raises:
        FilterError: unknown attribute, value of another kind, no value or bound, range over
            keywords or booleans, or lower bound above the upper bound.
    """
    name = clause.attribute
    if name not in kinds:
        known = ", ".join(sorted(kinds)) or "none: the items have no attributes"
        raise FilterError(f"attribute must be one of ({known}), got {name!r}")
    if isinstance(clause, AnyOf):
        if not clause.values:
            raise FilterError(f"attribute {name!r} must have at least one value, got none")
        for value in clause.values:
            _check_value(name, kinds[name], value)
        return
    _check_range(clause, kinds[name])


def as_keyword(value: Value) -> str:
    """A keyword or boolean in the form that postings store."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_number(value: Value) -> float:
    """A number as Python's int or float, a time as whole microseconds since 1970."""
    if isinstance(value, date):
        return (moment(value) - EPOCH) // timedelta(microseconds=1)
    assert not isinstance(value, str)
    number: Any = value  # NumPy's numbers too
    return int(number) if isinstance(number, Integral) else float(number)


def _check_range(clause: Range, kind: Kind) -> None:
    name, bounds = clause.attribute, clause.bounds
    if kind not in ("number", "time"):
        raise FilterError(
            f"a range must be over numbers or times, got attribute {name!r} of {kind}s"
        )
    if not bounds:
        raise FilterError(f"range of attribute {name!r} must have a bound, got none")
    for value in bounds.values():
        _check_value(name, kind, value)
    for pair in (("gt", "gte"), ("lt", "lte")):
        if all(bound in bounds for bound in pair):
            raise FilterError(
                f"range of attribute {name!r} must have {pair[0]} or {pair[1]}, got both"
            )
    lower = next((bounds[bound] for bound in ("gt", "gte") if bound in bounds), None)
    upper = next((bounds[bound] for bound in ("lt", "lte") if bound in bounds), None)
    if lower is not None and upper is not None and as_number(lower) > as_number(upper):
        raise FilterError(
            f"range of attribute {name!r} must have a lower bound that is at most its upper bound, "
            f"got {lower} and {upper}"
        )


def _check_value(name: str, kind: Kind, value: Value) -> None:
    given = _kind(value)
    if given != kind:
        raise FilterError(
            f"values of attribute {name!r} must be {kind}s, got the {given} {_shown(value)}"
        )
    if given == "number" and not abs(as_number(value)) < inf:  # nor NaN
        raise FilterError(f"values of attribute {name!r} must be finite, got {value}")
    if value == "":
        raise FilterError(f"values of attribute {name!r} must not be empty, got ''")


def _kind(value: Value) -> Kind:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, date):
        return "time"
    return "keyword" if isinstance(value, str) else "number"


def _shown(value: Value) -> str:
    return repr(value) if isinstance(value, str) else str(value)

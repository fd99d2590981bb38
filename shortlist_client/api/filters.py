"""Filters on item attributes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, date, datetime

from shortlist_client.api.checks import ATTRIBUTE_VALUE, STRING, Kind, check, members

Value = str | float | bool | date
"""Keyword, number, boolean, date or time. Whole numbers keep 64 bits. A time without a zone is in
UTC; a date is its midnight in UTC."""


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class AnyOf:
    """Matches when the attribute is one of the values or, for several keywords, has one of them."""

    attribute: str
    values: Sequence[Value]

    def __post_init__(self) -> None:
        check("attribute", self.attribute, STRING)
        object.__setattr__(self, "values", members("values", self.values, ATTRIBUTE_VALUE))


@dataclass(frozen=True)
class Range:
    """Matches when the attribute, a number or a time, lies within the bounds.

    There is one lower bound, one upper bound, or both.
    """

    attribute: str
    _: KW_ONLY
    gt: Value | None = None
    gte: Value | None = None
    lt: Value | None = None
    lte: Value | None = None

    def __post_init__(self) -> None:
        check("attribute", self.attribute, STRING)
        for name, value in self.bounds.items():
            check(name, value, ATTRIBUTE_VALUE)

    @property
    def bounds(self) -> Mapping[str, Value]:
        """The given bounds, by name."""
        named = {"gt": self.gt, "gte": self.gte, "lt": self.lt, "lte": self.lte}
        return {name: value for name, value in named.items() if value is not None}


Clause = AnyOf | Range
CLAUSE = Kind("AnyOf or Range", "AnyOf and Range", (AnyOf, Range))


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Conditions on the attributes of items; without any clause, every item matches.

    An item without a value for an attribute matches no clause on it.
    """

    must: Sequence[Clause] = ()
    """Every clause must match."""
    should: Sequence[Clause] = ()
    """At least one clause must match, if there are any."""
    must_not: Sequence[Clause] = ()
    """No clause may match."""

    def __post_init__(self) -> None:
        for name in ("must", "should", "must_not"):
            object.__setattr__(self, name, members(name, getattr(self, name), CLAUSE))

    def __iter__(self) -> Iterator[Clause]:
        yield from (*self.must, *self.should, *self.must_not)

    def __bool__(self) -> bool:
        return bool(self.must or self.should or self.must_not)


def moment(value: date) -> datetime:
    """The time with a zone of a date or time; UTC unless it has a zone."""
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value if value.tzinfo else value.replace(tzinfo=UTC)

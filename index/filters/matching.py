"""The rows that fit a filter, from the postings of its attributes.

All clauses on one number or time are solved as spans of the sorted values first, so that rows are
collected once for each attribute and not once for each clause.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain
from typing import Protocol

from pyroaring import BitMap

from dataset.postings import OrderedPostings
from dataset.spans import Span, intersected, united
from index.filters.clauses import as_keyword, as_number
from shortlist_client.api.filters import AnyOf, Clause, Filters

Combine = Callable[[list[list[Span]]], list[Span]]


class Keywords(Protocol):
    """Rows of keywords or booleans."""

    def rows(self, wanted: Iterable[str]) -> BitMap:
        """Rows that have one of the keywords."""


@dataclass(frozen=True)
class KeywordRows:
    """Rows of each keyword, in memory."""

    rows_of: Mapping[str, Sequence[int]]

    def rows(self, wanted: Iterable[str]) -> BitMap:
        """Rows that have one of the keywords."""
        return BitMap(list(chain.from_iterable(self.rows_of.get(value, ()) for value in wanted)))


def matching(
    filters: Filters,
    postings: Callable[[str], Keywords | OrderedPostings],
    everything: Callable[[], BitMap],
) -> BitMap:
    """Rows that fit a filter of valid clauses.

    Args:
        filters: The filter.
        postings: Returns the postings of an attribute.
        everything: Returns a new bitmap of all rows.
    """
    wanted = list(_parts(filters.must, postings, _in_all))
    if filters.should:
        wanted.append(BitMap.union(BitMap(), *_parts(filters.should, postings, _in_any)))
    rows = BitMap.intersection(*wanted) if wanted else everything()
    for unwanted in _parts(filters.must_not, postings, _in_any):
        rows -= unwanted
    return rows


def _parts(
    clauses: Sequence[Clause],
    postings: Callable[[str], Keywords | OrderedPostings],
    combine: Combine,
) -> Iterator[BitMap]:
    """Rows of each clause on keywords, and of all clauses together on each other attribute."""
    ordered: dict[str, list[list[Span]]] = defaultdict(list)
    for clause in clauses:
        held = postings(clause.attribute)
        if isinstance(held, OrderedPostings):
            ordered[clause.attribute].append(_spans(clause, held))
        else:
            assert isinstance(clause, AnyOf)
            yield held.rows(set(map(as_keyword, clause.values)))
    for name, spans in ordered.items():
        held = postings(name)
        assert isinstance(held, OrderedPostings)
        yield held.at(combine(spans))


def _in_all(spans: list[list[Span]]) -> list[Span]:
    return reduce(intersected, spans)


def _in_any(spans: list[list[Span]]) -> list[Span]:
    return united(chain.from_iterable(spans))


def _spans(clause: Clause, postings: OrderedPostings) -> list[Span]:
    if isinstance(clause, AnyOf):
        return united(postings.span(value, value) for value in set(map(as_number, clause.values)))
    bounds = {name: as_number(value) for name, value in clause.bounds.items()}
    lower, upper = bounds.get("gt", bounds.get("gte")), bounds.get("lt", bounds.get("lte"))
    span = postings.span(lower, upper, above="gt" in bounds, below="lt" in bounds)
    return united([span])

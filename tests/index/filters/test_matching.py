"""The costliest filters that a server accepts do not keep its engine busy for long."""

import time

import numpy as np
import pytest

from dataset.postings import KeywordPostings, OrderedPostings
from index.filters.attributes import Attributes
from serving.api.limits import Limits
from shortlist_client.api.filters import AnyOf, Filters, Range

ITEMS, BRANDS = 200_000, 20_000
ENGINE_SECONDS, NOISE = 0.200, 2.0
"""Processor time of a filter at most, and the factor for other load on the machine"""
CLAUSES, VALUES = Limits().clauses, Limits().values


@pytest.fixture(scope="module")
def attributes():
    rng = np.random.default_rng(0)
    price = OrderedPostings.of(rng.random(ITEMS), np.arange(ITEMS))
    year = rng.integers(1900, 2026, ITEMS).astype(np.float32)
    return Attributes(
        attributes={
            "brand": ("keyword", keywords(rng, BRANDS)),
            "few": ("keyword", keywords(rng, 5)),
            "price": ("number", price),
            "year": ("number", OrderedPostings.of(year, np.arange(ITEMS))),
        },
        items=ITEMS,
    )


def keywords(rng, count):
    values = sorted(f"k{number}" for number in range(count))
    owned = rng.integers(0, count, ITEMS)
    order = np.argsort(owned, kind="stable")
    return KeywordPostings.of(values, np.searchsorted(owned[order], np.arange(count + 1)), order)


def brands(first, count):
    return AnyOf("brand", [f"k{number}" for number in range(first, first + count)])


EACH = VALUES // CLAUSES
COSTLY = {
    "one clause of keywords": Filters(must=[brands(0, VALUES)]),
    "clauses of keywords": Filters(should=[brands(n * EACH, EACH) for n in range(CLAUSES)]),
    "unknown keywords": Filters(must=[AnyOf("brand", [f"no {n}" for n in range(VALUES)])]),
    "common keywords": Filters(must=[AnyOf("few", [f"k{n}" for n in range(5)])] * CLAUSES),
    "one clause of numbers": Filters(must=[AnyOf("year", [n / 2 for n in range(VALUES)])]),
    "clauses of numbers": Filters(
        should=[AnyOf("year", [1900 + n + m for m in range(EACH)]) for n in range(CLAUSES)]
    ),
    "ranges, all of them": Filters(must=[Range("price", gte=n / 1e4) for n in range(CLAUSES)]),
    "ranges, any of them": Filters(should=[Range("price", gte=n / 1e4) for n in range(CLAUSES)]),
    "ranges, none of them": Filters(must_not=[Range("price", lt=n / 1e4) for n in range(CLAUSES)]),
}


@pytest.mark.parametrize("name", COSTLY)
def test_the_costliest_filters_take_little_time(attributes, name):
    times = []
    for _ in range(3):
        started = time.thread_time()
        attributes.matching(COSTLY[name])
        times.append(time.thread_time() - started)

    assert min(times) < NOISE * ENGINE_SECONDS


def test_ranges_on_one_attribute_equal_ranges_one_by_one():
    rng = np.random.default_rng(3)
    price = OrderedPostings.of(rng.random(500), np.arange(500))
    attributes = Attributes(attributes={"price": ("number", price)}, items=500)

    def matching(**groups):
        return set(attributes.matching(Filters(**groups)))

    for _ in range(50):
        edges = [sorted(rng.random(2).tolist()) for _ in range(rng.integers(1, 4))]
        ranges = [Range("price", gte=low, lt=high) for low, high in edges]
        alone = [matching(must=[one]) for one in ranges]

        assert matching(must=ranges) == set.intersection(*alone)
        assert matching(should=ranges) == set.union(*alone)
        assert matching(must_not=ranges) == set(range(500)) - set.union(*alone)

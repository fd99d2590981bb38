from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import polars as pl
import pytest

from dataset.prepare.attributes import save_attributes
from index.filters.attributes import Attributes
from index.filters.clauses import FilterError
from shortlist_client.api.filters import AnyOf, Filters, Range

ITEMS = 300
START = datetime(2023, 12, 31, 22, tzinfo=UTC)
BRANDS = ["Acme", "acme", "Été", "日本", "🎮", "Z", " "]
TAGS = ["a", "b", "c", "d"]
LARGE = 2**53 + 4
"""Doubles hold every second number from here on."""


def table(rng):
    """Items with columns of every type; columns have few distinct values and some nulls."""

    def column(make):
        return [None if rng.random() < 0.2 else make() for _ in range(ITEMS)]

    def day():
        return (START + timedelta(days=int(rng.integers(9)))).date()

    return pl.DataFrame(
        {
            "item_id": [f"i{row}" for row in range(ITEMS)],
            "brand": column(lambda: str(rng.choice(BRANDS))),
            "tags": column(lambda: rng.choice(TAGS, size=rng.integers(4)).tolist()),
            "stock": column(lambda: int(rng.integers(-3, 4))),
            "seller": column(lambda: LARGE + int(rng.integers(-3, 4))),
            "price": column(lambda: float(rng.choice([0.5, 0.1, 9.99, -1.0, 1e9]))),
            "weight": column(lambda: float(rng.choice([0.1, 9.99, 3.5]))),
            "new": column(lambda: bool(rng.random() < 0.5)),
            "day": column(day),
            "since": column(lambda: START + timedelta(hours=int(rng.integers(9)))),
            "nothing": [None] * ITEMS,
        },
        schema_overrides={"weight": pl.Float32, "nothing": pl.Int64, "stock": pl.Int16},
    )


VALUES = {
    "brand": [*BRANDS, "never"],
    "tags": [*TAGS, "never"],
    "stock": [-3, 0, 2, 2.5, 99],
    "seller": [LARGE - 2, LARGE - 1, LARGE + 1, LARGE + 0.5, float(LARGE), 2**70, -(10**400)],
    "price": [0.1, 0.5, 9.99, 1e9, 7],
    "weight": [0.1, 3.5, 9.99, 7],
    "new": [True, False],
    "day": [date(2024, 1, day) for day in (1, 3, 20)],
    "since": [START + timedelta(hours=hour) for hour in (0, 3, 4, 30)],
    "nothing": [0, 1],
}
ORDERED = ("stock", "seller", "price", "weight", "day", "since", "nothing")


def random_clause(rng):
    name = str(rng.choice(list(VALUES)))
    values = [VALUES[name][place] for place in rng.permutation(len(VALUES[name]))]
    if name not in ORDERED or rng.random() < 0.4:
        return AnyOf(name, values[: rng.integers(1, 3)])
    low, high = sorted(values[:2])
    bounds = {rng.choice(["gt", "gte"]): low, rng.choice(["lt", "lte"]): high}
    if rng.random() < 0.5:
        bounds.pop(str(rng.choice(list(bounds))))
    return Range(name, **bounds)


def random_filters(rng):
    return Filters(
        must=[random_clause(rng) for _ in range(rng.integers(3))],
        should=[random_clause(rng) for _ in range(rng.integers(4))],
        must_not=[random_clause(rng) for _ in range(rng.integers(3))],
    )


def fits_clause(item, clause):
    """Reference implementation of a clause on one item."""
    values = item[clause.attribute]
    values = values if isinstance(values, list) else [values]
    if clause.attribute == "weight":
        values = [None if one is None else np.float32(one) for one in values]

    def same(value):
        return np.float32(value) if clause.attribute == "weight" else value

    if isinstance(clause, AnyOf):
        return any(one == same(value) for one in values for value in clause.values)
    compare = {
        "gt": lambda one, bound: one > bound,
        "gte": lambda one, bound: one >= bound,
        "lt": lambda one, bound: one < bound,
        "lte": lambda one, bound: one <= bound,
    }
    return any(
        one is not None and all(compare[n](one, same(b)) for n, b in clause.bounds.items())
        for one in values
    )


def fits(item, filters):
    return (
        all(fits_clause(item, clause) for clause in filters.must)
        and (not filters.should or any(fits_clause(item, clause) for clause in filters.should))
        and not any(fits_clause(item, clause) for clause in filters.must_not)
    )


@pytest.fixture
def attributes(tmp_path):
    def make(items):
        save_attributes(tmp_path, items)
        return Attributes.load(tmp_path, len(items))

    return make


@pytest.mark.parametrize("seed", range(3))
def test_random_filters_match_the_items_that_fit_one_by_one(attributes, seed):
    rng = np.random.default_rng(seed)
    items = table(rng)
    known, rows = attributes(items), items.to_dicts()

    sizes = set()
    for _ in range(200):
        filters = random_filters(rng)
        expected = [row for row, item in enumerate(rows) if fits(item, filters)]
        assert list(known.matching(filters)) == expected, filters
        sizes.add(len(expected))
    assert len(sizes) > 50


@pytest.mark.parametrize("kind", [pl.Int64, pl.UInt64, pl.Decimal(38, 0)])
def test_whole_numbers_beyond_53_bits_are_told_apart(attributes, kind):
    first = 1_768_907_445_451_174_113  # nanoseconds
    column = pl.Series([first + row for row in range(60)]).cast(kind)
    known = attributes(pl.DataFrame({"item_id": [f"i{row}" for row in range(60)], "at": column}))

    def rows(**clauses):
        return list(known.matching(Filters(**clauses)))

    assert rows(must=[AnyOf("at", [first + 30])]) == [30]
    assert rows(must=[Range("at", gt=first + 3, lt=first + 5)]) == [4]
    assert rows(must=[Range("at", gte=first + 58)]) == [58, 59]
    assert rows(must_not=[AnyOf("at", [first + 4])]) == [r for r in range(60) if r != 4]
    assert rows(must=[AnyOf("at", [np.int64(first + 7)])]) == [7]
    assert known.of_release([9]) == {9: {"at": frozenset([first + 9])}}


def test_numbers_of_more_than_64_bits_are_rounded_and_a_line_says_so(attributes, caplog):
    column = pl.Series([2**63 + 1, 5], dtype=pl.UInt64)
    known = attributes(pl.DataFrame({"item_id": ["a", "b"], "code": column}))

    assert list(known.matching(Filters(must=[Range("code", gt=2**62)]))) == [0]
    assert "'code' has whole numbers of more than 64 bits" in caplog.text


def test_added_items_may_mix_whole_numbers_with_others(attributes):
    known = attributes(pl.DataFrame({"item_id": ["a", "b"], "price": [2**53 + 1, 7]}))
    values = [2**53 + 3, 9.5, 2**70, 9]

    mixed = known.attributes["price"][1].like(values, np.arange(4))

    def found(lower, upper):
        return list(mixed.at([mixed.span(lower, upper)]))

    assert found(2**53 + 3, 2**53 + 3) == [0]
    assert found(2**53 + 2, 2**53 + 2) == []
    assert found(9, 9.5) == [1, 3]
    assert found(2**60, None) == [2]


def test_a_filter_without_clauses_matches_every_item(attributes):
    items = pl.DataFrame({"item_id": ["a", "b"]})

    assert list(attributes(items).matching(Filters())) == [0, 1]


def test_columns_of_other_types_are_not_attributes(attributes):
    items = pl.DataFrame(
        {
            "item_id": ["a"],
            "vector": [[1.0, 2.0]],
            "nested": [{"x": 1}],
            "rank": pl.Series(["high"], dtype=pl.Categorical),
            "cost": pl.Series([1.5]).cast(pl.Decimal(10, 2)),
        }
    )
    assert attributes(items).kinds == {"rank": "keyword", "cost": "number"}


def test_nan_and_null_are_missing_numbers(attributes):
    known = attributes(pl.DataFrame({"item_id": ["a", "b", "c"], "x": [None, float("nan"), 1.0]}))

    assert list(known.matching(Filters(must=[Range("x", lt=1e300)]))) == [2]
    assert list(known.matching(Filters(must_not=[Range("x", lt=1e300)]))) == [0, 1]


def test_a_time_without_a_zone_is_utc_and_a_date_is_its_midnight(attributes):
    moments = [datetime(2024, 5, 1, tzinfo=UTC), datetime(2024, 5, 1, 0, 0, 1, tzinfo=UTC)]
    known = attributes(pl.DataFrame({"item_id": ["a", "b"], "since": moments}))
    tokyo = timezone(timedelta(hours=9))

    for midnight in (
        date(2024, 5, 1),
        datetime(2024, 5, 1),
        datetime(2024, 5, 1, 9, tzinfo=tokyo),
    ):
        assert list(known.matching(Filters(must=[Range("since", lte=midnight)]))) == [0]
        assert list(known.matching(Filters(must=[Range("since", gt=midnight)]))) == [1]
        assert list(known.matching(Filters(must=[AnyOf("since", [midnight])]))) == [0]


def test_postings_of_distinct_keywords_take_less_than_32_bytes_each(attributes):
    values = [f"code {n:05}" for n in range(20_000)]
    known = attributes(pl.DataFrame({"item_id": values, "code": values}))

    postings = known.attributes["code"][1]

    assert len(postings.postings) / len(values) < 32
    assert list(known.matching(Filters(must=[AnyOf("code", ["code 00777"])]))) == [777]


@pytest.mark.parametrize(
    ("clause", "message"),
    [
        (AnyOf("colour", ["red"]), r"one of \(brand, day, new, .*\), got 'colour'"),
        (AnyOf("brand", []), "attribute 'brand' must have at least one value, got none"),
        (AnyOf("brand", [""]), "values of attribute 'brand' must not be empty"),
        (AnyOf("brand", [7]), "'brand' must be keywords, got the number 7"),
        (AnyOf("price", ["7"]), "'price' must be numbers, got the keyword '7'"),
        (AnyOf("price", [True]), "'price' must be numbers, got the boolean True"),
        (AnyOf("new", [1]), "'new' must be booleans, got the number 1"),
        (AnyOf("since", [1704067200]), "'since' must be times, got the number 1704067200"),
        (AnyOf("price", [float("nan")]), "'price' must be finite, got nan"),
        (Range("price", lt=float("inf")), "'price' must be finite, got inf"),
        (Range("brand", gte="A"), "over numbers or times, got attribute 'brand' of keywords"),
        (Range("new", gte=True), "over numbers or times, got attribute 'new' of booleans"),
        (Range("price"), "range of attribute 'price' must have a bound, got none"),
        (Range("price", gt=1, gte=1), "'price' must have gt or gte, got both"),
        (Range("price", lt=1, lte=1), "'price' must have lt or lte, got both"),
        (Range("price", gt=2, lte=1), "lower bound that is at most its upper bound, got 2 and 1"),
        (Range("since", gt=date(2024, 1, 2), lt=date(2024, 1, 1)), "lower bound that is at most"),
    ],
)
def test_invalid_clauses_are_refused_by_name(attributes, clause, message):
    known = attributes(table(np.random.default_rng(0)))

    for filters in (Filters(must=[clause]), Filters(should=[clause]), Filters(must_not=[clause])):
        with pytest.raises(FilterError, match=message):
            known.matching(filters)


def test_item_values_read_from_postings_equal_those_read_from_a_description(attributes):
    items = table(np.random.default_rng(3))
    known, rows = attributes(items), [7, 0, 299, 150, 151, 152]

    found = known.of_release(rows)

    for row in rows:
        (item,) = items[row].drop("item_id").to_dicts()
        times = {name: str(item[name]) for name in ("day", "since") if item[name] is not None}
        expected = known.item_values(item | times)
        assert found[row] == {name: values for name, values in expected.items() if values}

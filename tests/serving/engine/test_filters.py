"""Filters through the whole engine, and through gRPC."""

from datetime import UTC, datetime, timedelta

import grpc
import numpy as np
import pytest

from serving.api.limits import Limits
from serving.engine.engine import Engine, EngineConfig
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.filters import AnyOf, Filters, Range
from shortlist_client.api.request import Shopper, Wishes
from tests.rounding import rounding

pytestmark = pytest.mark.numeric

SHORTLIST = 30
HISTORY = ("i3", "i1", "i45")
START = datetime(2024, 1, 1, tzinfo=UTC)
BASES = {
    "history": {"history": HISTORY},
    "user": {"user_id": "u7"},
    "search": {"search": "blue lamp"},
    "both": {"search": "blue lamp", "history": HISTORY},
    "popularity": {},
}


@pytest.fixture(scope="module")
def engine(release):
    limits = Limits(shortlist=SHORTLIST, clauses=5, values=20, excluded=250)
    return Engine.load(release, EngineConfig(ranked=6, limits=limits))


def ids(answer):
    return [item.item_id for item in answer.items]


def random_filters(rng, titles):
    """Filters, and a plain function that tells whether an item row passes them."""
    colours = [str(colour) for colour in rng.choice([t.split()[0] for t in titles], 3)]
    thing = str(rng.choice([t.split()[1] for t in titles]))
    low, high = sorted(int(bound) for bound in rng.integers(0, 240, size=2))
    new = bool(rng.random() < 0.5)
    since = START + timedelta(days=int(rng.integers(240)))
    clauses = [
        (AnyOf("colour", colours), lambda row: titles[row].split()[0] in colours),
        (AnyOf("thing", [thing]), lambda row: titles[row].split()[1] == thing),
        (Range("price", gte=low, lt=high), lambda row: low <= row < high),
        (AnyOf("price", [low, high, 0.5]), lambda row: row in (low, high)),
        (AnyOf("new", [new]), lambda row: (row >= 200) == new),
        (Range("since", gt=since), lambda row: START + timedelta(days=row) > since),
    ]
    parts = [
        [clauses[place] for place in rng.permutation(len(clauses))[: rng.integers(size)]]
        for size in (2, 3, 2)
    ]
    must, should, must_not = parts
    filters = Filters(
        **{
            name: tuple(clause for clause, _ in part)
            for name, part in zip(("must", "should", "must_not"), parts, strict=True)
        }
    )

    def fits(row):
        return (
            all(fit(row) for _, fit in must)
            and (not should or any(fit(row) for _, fit in should))
            and not any(fit(row) for _, fit in must_not)
        )

    return filters, fits


@pytest.mark.parametrize("basis", BASES)
def test_all_fitting_items_up_to_the_limit_are_returned(engine, shop, basis):
    rng = np.random.default_rng(len(basis))
    known = BASES[basis]
    seen = set(known.get("history", ()))
    if basis == "user":
        seen = {f"i{row}" for row in shop.items[7 * 7 : 8 * 7]}
    fewer = 0
    for _ in range(15):
        filters, fits = random_filters(rng, shop.titles)
        exclude = [f"i{row}" for row in rng.permutation(240)[: rng.integers(30)]]
        left = {f"i{row}" for row in range(240) if fits(row)} - seen - set(exclude)
        shopper = Shopper(**known)
        wishes = Wishes(filters=filters, exclude=exclude, limit=SHORTLIST)
        for answer in (engine.recommend(shopper, wishes), engine.retrieve(shopper, wishes)):
            assert set(ids(answer)) <= left, filters
            assert len(set(ids(answer))) == len(answer.items) == min(SHORTLIST, len(left))
            scores = [item.score for item in answer.items]
            assert scores == sorted(scores, reverse=True)
        fewer += len(left) < SHORTLIST
    assert 0 < fewer < 15


def test_filters_apply_to_similar_items(engine, shop):
    rng = np.random.default_rng(0)
    for _ in range(15):
        filters, fits = random_filters(rng, shop.titles)
        left = {f"i{row}" for row in range(240) if fits(row)} - {"i4", "i9"}
        answer = engine.similar("i4", Wishes(limit=SHORTLIST, filters=filters, exclude=["i9"]))

        assert set(ids(answer)) <= left
        assert len(answer.items) == min(SHORTLIST, len(left))


def test_a_filter_does_not_change_scores(engine):
    shopper, wishes = Shopper(history=HISTORY), Wishes(limit=SHORTLIST)
    odd = Filters(must=[AnyOf("price", [float(row) for row in range(1, 40, 2)])])
    unfiltered = {item.item_id: item for item in engine.retrieve(shopper, wishes).items}
    filtered = engine.retrieve(Shopper(history=HISTORY), Wishes(filters=odd, limit=SHORTLIST))

    shared = [item for item in filtered.items if item.item_id in unfiltered]
    assert shared
    for item in shared:
        expected = unfiltered[item.item_id].score
        assert item.score == pytest.approx(expected, abs=rounding(20, terms=512))
        assert item.neighbour_score == unfiltered[item.item_id].neighbour_score


def test_a_filter_that_passes_every_item_changes_nothing(engine):
    every = Filters(must=[Range("price", gte=0)])
    for known in BASES.values():
        shopper = Shopper(**known)
        without = engine.recommend(shopper, Wishes(limit=SHORTLIST))
        fitting = engine.recommend(shopper, Wishes(limit=SHORTLIST, filters=every))
        assert ids(fitting) == ids(without)
    assert ids(engine.similar("i4", Wishes(limit=9, filters=every))) == ids(
        engine.similar("i4", Wishes(limit=9))
    )


def test_popular_items_that_fit_keep_their_order(engine, shop):
    fits = Filters(must=[Range("price", gte=120)])
    best = engine.cascade.catalogue.sales.best_first(engine.cascade.now)

    found = ids(engine.recommend(Shopper(), Wishes(filters=fits, limit=SHORTLIST)))

    assert found == [f"i{row}" for row in best if row >= 120][:SHORTLIST]


def test_unknown_excluded_items_are_reported(engine):
    shopper, wishes = (
        Shopper(history=["i3", "gone"]),
        Wishes(exclude=["lost", "i1", "gone"], limit=5),
    )

    assert engine.recommend(shopper, wishes).unknown_item_ids == ("gone", "lost")
    assert engine.similar("i4", Wishes(limit=5, exclude=["lost"])).unknown_item_ids == ("lost",)


BROKEN = [
    ({"filters": Filters(must=[AnyOf("size", ["L"])])}, r"attribute must be one of \("),
    ({"filters": Filters(must=[AnyOf("price", ["L"])])}, "must be numbers, got the keyword 'L'"),
    (
        {"filters": Filters(should=[AnyOf("thing", [])])},
        "'thing' must have at least one value, got none",
    ),
    ({"filters": Filters(must_not=[Range("price")])}, "must have a bound, got none"),
    ({"filters": Filters(must=[Range("thing", gt="a")])}, "a range must be over numbers or times"),
    ({"filters": Filters(must=[Range("price", gt=2, lt=1)])}, "lower bound that is at most"),
    (
        {"filters": Filters(must=[Range("price", gt=1)] * 6)},
        "filters must be at most 5 clauses, got 6",
    ),
    (
        {"filters": Filters(must=[AnyOf("price", [1] * 21)])},
        "filters must be at most 20 values, got 21",
    ),
    (
        {"filters": Filters(must=[AnyOf("price", [1] * 11)], must_not=[AnyOf("price", [1] * 10)])},
        "filters must be at most 20 values, got 21",
    ),
    ({"exclude": ["i1"] * 251}, "exclude must be at most 250 item ids, got 251"),
    ({"exclude": [""]}, "item_id must have 1 to 256 characters, got 0"),
]


@pytest.mark.parametrize(("given", "rule"), BROKEN)
def test_an_invalid_filter_is_refused_by_name(engine, given, rule):
    for known in BASES.values():
        for ask in (engine.recommend, engine.retrieve):
            with pytest.raises(InvalidRequestError, match=rule):
                ask(Shopper(**known), Wishes(limit=5, **given))
    with pytest.raises(InvalidRequestError, match=rule):
        engine.similar("i4", Wishes(limit=5, **given))


@pytest.mark.parametrize(("given", "rule"), BROKEN)
def test_an_invalid_filter_is_an_invalid_argument_over_grpc(engine_client, given, rule):
    for ask, about in (
        (engine_client.recommend, Shopper()),
        (engine_client.retrieve, Shopper()),
        (engine_client.similar, "i4"),
    ):
        with pytest.raises(grpc.RpcError, match=rule) as caught:
            ask(about, Wishes(limit=5, **given))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_filters_over_grpc_give_the_engines_answer(engine_client, engine, shop):
    rng = np.random.default_rng(3)
    for _ in range(10):
        filters, _ = random_filters(rng, shop.titles)
        shopper = Shopper(history=HISTORY)
        wishes = Wishes(filters=filters, exclude=("i7",), limit=20)
        for remote, local, about in (
            (engine_client.recommend, engine.recommend, shopper),
            (engine_client.retrieve, engine.retrieve, shopper),
            (engine_client.similar, engine.similar, "i4"),
        ):
            assert remote(about, wishes).items == local(about, wishes).items

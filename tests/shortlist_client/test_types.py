"""Types are checked when an object is created; errors name the field."""

import time
from datetime import date

import numpy as np
import pytest

from shortlist_client import (
    AnyOf,
    Diversity,
    Event,
    Filters,
    Item,
    Range,
    RecommenderClient,
    Shopper,
    Wishes,
)

EVENT = {"user_id": "u", "item_id": "i", "action": "click"}


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (Shopper, {"user_id": 196}, "user_id must be a string, got 196"),
        (Shopper, {"history": "50"}, "history must be a list or tuple of strings, got '50'"),
        (Shopper, {"history": {"50"}}, "history must be a list or tuple of strings, got {'50'}"),
        (Shopper, {"history": ["50", 181]}, r"history\[1\] must be a string, got 181"),
        (Shopper, {"history": ["50", None]}, r"history\[1\] must be a string, got None"),
        (Shopper, {"history_times": [1.5]}, r"history_times\[0\] must be a whole number, got 1.5"),
        (Shopper, {"history_times": [True]}, r"history_times\[0\] must be a whole number, got T"),
        (Shopper, {"history_actions": [0]}, r"history_actions\[0\] must be a string, got 0"),
        (Shopper, {"search": None}, "search must be a string, got None"),
        (Shopper, {"vector": ["1"]}, r"vector\[0\] must be a number, got '1'"),
        (Shopper, {"vector": 0.5}, "vector must be a list or tuple of numbers, got 0.5"),
        (Wishes, {"limit": True}, "limit must be a whole number, got True"),
        (Wishes, {"limit": "10"}, "limit must be a whole number, got '10'"),
        (Wishes, {"limit": 10.0}, "limit must be a whole number, got 10.0"),
        (Wishes, {"filters": {"must": []}}, r"filters must be Filters, got {'must': \[\]}"),
        (Wishes, {"filters": None}, "filters must be Filters, got None"),
        (Wishes, {"exclude": "181"}, "exclude must be a list or tuple of strings, got '181'"),
        (Wishes, {"diversity": 0.3}, "diversity must be a Diversity, got 0.3"),
        (Wishes, {"explain": 1}, "explain must be True or False, got 1"),
        (Wishes, {"explain_texts": "no"}, "explain_texts must be True or False, got 'no'"),
        (Wishes, {"release": 7}, "release must be a string, got 7"),
        (Wishes, {"request_id": 7}, "request_id must be a string, got 7"),
        (Diversity, {"strength": "0.3"}, "strength must be a number, got '0.3'"),
        (Diversity, {"calibrated": "0.3"}, "calibrated must be a number, got '0.3'"),
        (Diversity, {"calibrated_by": 3}, "calibrated_by must be a string, got 3"),
        (Diversity, {"at_most": ["brand"]}, r"at_most must be a mapping, got \['brand'\]"),
        (Diversity, {"at_most": {"brand": 2.5}}, r"at_most\['brand'\] must be a whole number"),
        (Filters, {"must": AnyOf("a", [1])}, "must must be a list or tuple of AnyOf and Range"),
        (Filters, {"should": [("a", 1)]}, r"should\[0\] must be AnyOf or Range, got"),
        (Item, {"item_id": 17, "title": "mug"}, "item_id must be a string, got 17"),
        (Item, {"item_id": "b", "title": None}, "title must be a string, got None"),
        (Item, {"item_id": "b", "title": "t", "texts": "x"}, "texts must be a mapping, got 'x'"),
        (
            Item,
            {"item_id": "b", "title": "t", "attributes": {1: 2}},
            "a key of attributes must be a st",
        ),
        (Event, {**EVENT, "user_id": 196}, "user_id must be a string, got 196"),
        (Event, {**EVENT, "time": 1.5}, "time must be a whole number, got 1.5"),
        (Event, {**EVENT, "position": "1"}, "position must be a whole number, got '1'"),
    ],
)
def test_a_wrong_type_is_refused_by_name(kind, fields, message):
    with pytest.raises(TypeError, match=f"^{message}"):
        kind(**fields)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AnyOf("brand", "Acme"), "values must be a list or tuple of strings, numbers"),
        (lambda: AnyOf("brand", [None]), r"values\[0\] must be a string, number, boolean, date"),
        (lambda: AnyOf(7, ["a"]), "attribute must be a string, got 7"),
        (lambda: Range("price", gte=[1]), "gte must be a string, number, boolean, date or time"),
    ],
)
def test_a_clause_of_a_wrong_type_is_refused_by_name(make, message):
    with pytest.raises(TypeError, match=f"^{message}"):
        make()


def test_the_message_shortens_a_long_value():
    with pytest.raises(TypeError) as caught:
        Shopper(user_id=["x" * 100] * 1000)

    assert len(str(caught.value)) < 700


def test_numpy_numbers_are_accepted():
    rows = np.arange(3)
    shopper = Shopper(history_times=list(rows), vector=list(np.float32([0.5, 1])))

    assert shopper.history_times == (0, 1, 2)
    assert Wishes(limit=rows[2]).limit == 2
    assert Range("day", gte=date(2024, 1, 1), lt=np.float64(2)).bounds["lt"] == 2


def test_lists_become_immutable_tuples():
    history = ["i1"]
    shopper = Shopper(history=history)
    history.append("i2")

    assert shopper.history == ("i1",)
    assert shopper == Shopper(history=("i1",))
    assert len({shopper, Shopper(history=["i1"])}) == 1


def test_a_history_of_10_000_items_is_checked_in_a_few_milliseconds():
    history, times = [f"i{row}" for row in range(10_000)], list(range(10_000))
    taken = []
    for _ in range(20):
        started = time.perf_counter()
        Shopper(history=history, history_times=times, history_actions=history)
        taken.append(time.perf_counter() - started)

    assert min(taken) < 0.005


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: RecommenderClient(5), "target must be a string, got 5"),
        (
            lambda: RecommenderClient("localhost:1", timeout="5"),
            "timeout must be a number, got '5'",
        ),
        (
            lambda: RecommenderClient("localhost:1").recommend(Shopper(), timeout="1"),
            "timeout must be a number, got '1'",
        ),
        (
            lambda: RecommenderClient("localhost:1").recommend({"user_id": "196"}),
            "shopper must be a Shopper, got",
        ),
        (
            lambda: list(RecommenderClient("localhost:1").recommend_many([Shopper()])),
            r"requests\[0\] must be a Shopper and Wishes, got Shopper",
        ),
    ],
)
def test_a_wrong_argument_of_a_call_is_refused_before_anything_is_sent(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_an_item_does_not_change_with_the_dictionary_it_was_made_of():
    texts = {"brand": "Acme"}
    item = Item(item_id="b", title="t", texts=texts)
    texts["brand"] = "Zeta"

    assert item.texts == {"brand": "Acme"}

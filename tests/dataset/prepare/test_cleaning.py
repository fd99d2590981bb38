import random

import polars as pl
import pytest

from dataset.prepare.cleaning import clean, k_core


def items_of(titles):
    return pl.LazyFrame(
        {"item_id": list(titles), "title": list(titles.values())},
        schema={"item_id": pl.String, "title": pl.String},
    )


def events_of(rows):
    return pl.LazyFrame(rows, schema=["user_id", "item_id", "time"], orient="row")


def test_every_rule_reports_rows_in_and_rows_out():
    items = items_of({"a": "Kettle", "b": " ", "c": None, "d": "Lamp"})
    events = events_of(
        [("u", "a", 1), ("u", "a", 1), ("u", "b", 2), ("v", "x", 1), ("v", "d", 1), ("v", "a", 2)]
    )

    cleaned = clean(items, events, user_core=2, item_core=1)

    assert [(step.rule, step.rows_in, step.rows_out) for step in cleaned.report] == [
        ("no title", 4, 2),
        ("exact duplicate", 6, 5),
        ("unknown item", 5, 3),
        ("user core 2, item core 1", 3, 2),
        ("item core 1", 2, 2),
    ]
    assert sorted(cleaned.interactions.collect().rows()) == [("v", "a", 2), ("v", "d", 1)]


def test_a_repeated_purchase_is_no_duplicate():
    events = events_of([("u", "a", 1), ("u", "a", 2)])

    cleaned = clean(items_of({"a": "Kettle"}), events, user_core=1, item_core=1)

    assert len(cleaned.interactions.collect()) == 2


def test_an_item_without_interactions_is_kept_unless_there_is_an_item_core():
    items = items_of({"a": "Kettle", "new": "Lamp"})
    events = events_of([("u", "a", 1), ("v", "a", 1)])

    kept, core = (clean(items, events, user_core=1, item_core=k) for k in (1, 2))

    assert len(kept.items.collect()) == 2
    assert core.items.collect()["item_id"].to_list() == ["a"]


@pytest.mark.parametrize("seed", range(5))
def test_the_core_equals_dropping_one_poor_user_or_item_at_a_time(seed):
    draw = random.Random(seed)
    pairs = [
        (min(draw.choices(range(40), k=2)), min(draw.choices(range(30), k=2))) for _ in range(220)
    ]
    rows = events_of([(f"u{user}", f"i{item}", n) for n, (user, item) in enumerate(pairs)])

    core = k_core(rows, user_core=4, item_core=5).collect()

    left = rows.collect().rows()
    while True:
        users, items = [r[0] for r in left], [r[1] for r in left]
        poor = [r for r in left if users.count(r[0]) < 4 or items.count(r[1]) < 5]
        if not poor:
            break
        column = 0 if users.count(poor[0][0]) < 4 else 1
        left = [r for r in left if r[column] != poor[0][column]]
    assert sorted(core.rows()) == sorted(left)
    assert 0 < len(left) < 220


def test_a_core_of_a_core_is_itself():
    rows = [(f"u{n % 7}", f"i{n % 5}", n) for n in range(40)] + [("lone", "i0", 0)]

    once = k_core(events_of(rows), user_core=5, item_core=5)
    twice = k_core(once, user_core=5, item_core=5)

    assert sorted(once.collect().rows()) == sorted(twice.collect().rows())

"""Filters on changed items, through the whole engine."""

import random

import pytest

from serving.api.limits import Limits
from serving.engine.engine import Engine, EngineConfig
from serving.live.live_engine import LiveEngine
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.filters import AnyOf, Filters, Range
from shortlist_client.api.item import Item
from shortlist_client.api.request import Shopper, Wishes

LIMIT = 30
HISTORY = ("i3", "i1", "i45")


@pytest.fixture(scope="module")
def base(release):
    return Engine.load(release, EngineConfig(ranked=6, limits=Limits(shortlist=LIMIT)))


def ids(answer):
    return [item.item_id for item in answer.items]


def asked(engine, filters, exclude=()):
    """Answers of every method, with the items that the method always excludes."""
    wishes = Wishes(filters=filters, exclude=exclude, limit=LIMIT)
    yield engine.current.recommend(Shopper(history=HISTORY), wishes), HISTORY
    yield engine.current.retrieve(Shopper(history=HISTORY), wishes), HISTORY
    yield engine.current.recommend(Shopper(search="red shirt"), wishes), ()
    yield engine.current.recommend(Shopper(), wishes), ()
    yield engine.current.similar("i4", wishes), ("i4",)


def random_filters(chosen):
    """Filters, and a plain function of colour, price and newness that agrees with them."""
    colour, low = chosen.choice(["red", "blue", "teal"]), chosen.randrange(200)
    return chosen.choice(
        [
            (Filters(must=[AnyOf("colour", [colour])]), lambda c, p, n: c == colour),
            (Filters(must=[Range("price", gte=low)]), lambda c, p, n: p >= low),
            (
                Filters(must=[AnyOf("new", [False])], must_not=[Range("price", lt=low)]),
                lambda c, p, n: not n and p >= low,
            ),
            (
                Filters(should=[AnyOf("colour", [colour]), Range("price", gt=low + 30)]),
                lambda c, p, n: c == colour or p > low + 30,
            ),
            (Filters(), lambda c, p, n: True),
        ]
    )


def test_random_changes_filters_and_exclusions_agree_with_a_dictionary(
    engine, base, root, shop, monkeypatch
):
    for name in ("serving.catalogue.live_items.BLOCK", "dataset.append_only.BLOCK"):
        monkeypatch.setattr(name, 16)  # so that compaction often renumbers rows
    chosen = random.Random(5)
    items = {
        f"i{row}": (title.split()[0], float(row), row >= 200)
        for row, title in enumerate(shop.titles)
    }
    fewer = 0
    for step in range(25):
        names = chosen.sample([f"i{n}" for n in range(5, 45)] + [f"n{n}" for n in range(40)], 6)
        upserts = []
        for name in names:
            items[name] = chosen.choice(["red", "teal"]), chosen.randrange(240), step % 2 == 0
            values = dict(zip(("colour", "price", "new"), items[name], strict=True))
            upserts.append(Item(item_id=name, title=f"{values['colour']} mug", attributes=values))
        engine.upsert(upserts)
        gone = chosen.sample(sorted(items.keys() - {"i4"}), 4)
        engine.delete(gone)
        items = {name: held for name, held in items.items() if name not in gone}
        if step == 15:
            engine.close()
            engine = LiveEngine(base, root)
        filters, fits = random_filters(chosen)
        fit = {name for name, held in items.items() if fits(*held)}
        left_out = chosen.sample(sorted(items), 6)
        for answer, itself in asked(engine, filters, left_out):
            left = fit - {*left_out, *itself}
            assert set(ids(answer)) <= left, filters
            assert len(set(ids(answer))) == len(answer.items) == min(LIMIT, len(left))
            fewer += len(left) < LIMIT
    engine.close()
    assert fewer > 5


def test_filters_use_times_and_keywords_in_texts_of_upserted_items(engine):
    engine.upsert(
        [
            Item(
                item_id="new",
                title="red mug",
                texts={"thing": "goblet", "story": "long ago"},
                attributes={"since": "2030-05-01T09:00+09:00", "price": 7},
            ),
            Item(item_id="i3", title="red chair", attributes={"since": None, "colour": ["a", "b"]}),
        ]
    )
    for clause, found in (
        (AnyOf("thing", ["goblet"]), ["new"]),
        (Range("since", gte="2030"), None),
        (AnyOf("colour", ["b"]), ["i3"]),
        (AnyOf("price", [3]), []),
    ):
        shopper, wishes = Shopper(search="red mug"), Wishes(filters=Filters(must=[clause]), limit=9)
        if found is None:
            with pytest.raises(InvalidRequestError, match="must be times, got the keyword '2030'"):
                engine.current.recommend(shopper, wishes)
        else:
            assert ids(engine.current.recommend(shopper, wishes)) == found


@pytest.mark.parametrize(
    ("attributes", "rule"),
    [
        ({"size": "L"}, r"one of \(colour, new, price, since, thing\), got 'size'"),
        ({"price": "7"}, "attribute 'price' must be a number, got '7'"),
        ({"price": True}, "attribute 'price' must be a number, got True"),
        ({"price": 10**400}, "attribute 'price' must be finite"),
        ({"new": 1}, "attribute 'new' must be a boolean, got 1"),
        ({"colour": 3}, "attribute 'colour' must be a string or a list of strings, got 3"),
        ({"colour": ["a", 3]}, "attribute 'colour' must be a string or a list of strings, got 3"),
        ({"since": 5}, "attribute 'since' must be an ISO 8601 time, got 5"),
        ({"since": "May"}, "attribute 'since' must be an ISO 8601 time, got 'May'"),
    ],
)
def test_invalid_attributes_refuse_the_whole_change(engine, attributes, rule):
    good, bad = (
        Item(item_id=name, title="red mug", attributes=values)
        for name, values in (("good", {"price": 1}), ("bad", attributes))
    )

    with pytest.raises(InvalidRequestError, match=f"attributes of 'bad': .*{rule}"):
        engine.upsert([good, bad])
    assert engine.current.cascade.catalogue.row("good") is None

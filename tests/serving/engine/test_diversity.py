"""Diversity through the whole engine."""

from collections import Counter

import grpc
import pytest

from evaluation.variety import item_shares, miscalibration, value_shares
from serving.api.limits import Limits
from serving.engine.engine import Engine, EngineConfig
from serving.live.live_engine import LiveEngine
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.filters import AnyOf, Filters
from shortlist_client.api.item import Item
from shortlist_client.api.request import Diversity, Shopper, Wishes
from shortlist_client.client import RecommenderClient

SHORTLIST = 60
HISTORY = ("i3", "i1", "i45")


@pytest.fixture(scope="module")
def engine(release):
    return Engine.load(release, EngineConfig(ranked=6, limits=Limits(shortlist=SHORTLIST)))


def colours(answer):
    return Counter(item.title.split()[0] for item in answer.items)


def test_without_strength_the_answer_is_unchanged(engine):
    plain = engine.recommend(Shopper(history=HISTORY), Wishes(limit=20))
    wished = engine.recommend(
        Shopper(history=HISTORY), Wishes(limit=20, diversity=Diversity(strength=0.0))
    )

    assert wished.items == plain.items


def test_more_strength_makes_the_items_less_similar(engine):
    def alike(strength):
        shopper, wishes = (
            Shopper(history=HISTORY),
            Wishes(limit=10, diversity=Diversity(strength=strength)),
        )
        rows = engine.cascade.catalogue.rows(
            [item.item_id for item in engine.recommend(shopper, wishes).items]
        )[0]
        vectors = engine.cascade.retriever.sources.index.vectors(rows)
        return float((vectors @ vectors.T).sum() - 10) / 90

    found = [alike(strength) for strength in (0.0, 0.5, 1.0)]

    assert found[0] > found[1] > found[2]


@pytest.mark.parametrize("ask", [{"history": HISTORY}, {"search": "blue lamp"}, {}])
@pytest.mark.parametrize("strength", [0.0, 0.5])
def test_no_more_items_than_the_cap_share_a_value(engine, ask, strength):
    diversity = Diversity(strength=strength, at_most={"colour": 2, "thing": 3})

    for answer in (
        engine.recommend(Shopper(**ask), Wishes(limit=8, diversity=diversity)),
        engine.retrieve(Shopper(**ask), Wishes(limit=8, diversity=diversity)),
    ):
        assert len(answer.items) == 8
        assert max(colours(answer).values()) <= 2
        assert max(Counter(i.title.split()[1] for i in answer.items).values()) <= 3


def test_capped_items_are_not_replaced_when_no_others_fit(engine):
    red = Filters(must=[AnyOf("colour", ["red"])])
    shopper, wishes = (
        Shopper(history=HISTORY),
        Wishes(limit=8, filters=red, diversity=Diversity(at_most={"colour": 3})),
    )
    everything = engine.recommend(Shopper(history=HISTORY), Wishes(limit=8, filters=red)).items

    assert engine.recommend(shopper, wishes).items == everything[:3]


def test_added_items_count_towards_the_cap_of_each_of_their_values(root, engine):
    live = LiveEngine(engine, root)
    named = {"one": ["teal", "new"], "two": ["new"], "three": ["new", "old"], "four": ["old"]}
    named |= {"five": [], "six": []}
    live.upsert(
        [
            Item(item_id=item_id, title="teal lamp", attributes={"colour": values})
            for item_id, values in named.items()
        ]
    )
    live.close()
    shopper, wishes = (
        Shopper(search="teal lamp"),
        Wishes(limit=SHORTLIST, diversity=Diversity(at_most={"colour": 1})),
    )

    found = [item.item_id for item in live.current.recommend(shopper, wishes).items]

    assert {"five", "six"} <= set(found)
    values = Counter(value for item_id in found for value in named.get(item_id, ()))
    values.update(
        live.current.cascade.catalogue.title(int(item_id[1:])).split()[0]
        for item_id in found
        if item_id not in named
    )
    assert values["new"] == 1
    assert max(values.values()) == 1


@pytest.mark.parametrize("by", ["", "thing", "price"])
def test_more_calibration_brings_the_values_nearer_to_the_historys(engine, by):
    attributes = {one.name: one for one in engine.cascade.profiles.attributes}
    attribute = attributes[by or "colour"]
    of_items = item_shares(attribute.offsets, attribute.numbers, len(attribute.values))
    had = [engine.cascade.catalogue.rows(HISTORY)[0]]

    def divergence(weight):
        diversity = Diversity(calibrated=weight, calibrated_by=by if weight else "")
        wishes = Wishes(limit=10, diversity=diversity)
        items = engine.recommend(Shopper(history=HISTORY), wishes).items
        rows = engine.cascade.catalogue.rows([item.item_id for item in items])[0]
        return miscalibration(value_shares(had, of_items), value_shares([rows], of_items))[0]

    plain, calibrated = divergence(0.0), divergence(0.9)

    assert calibrated < plain or plain == 0


def test_without_a_history_calibration_changes_nothing(engine):
    plain = engine.retrieve(Shopper(search="blue lamp"), Wishes(limit=10))
    diversity = Diversity(calibrated=0.9)

    wished = engine.retrieve(Shopper(search="blue lamp"), Wishes(limit=10, diversity=diversity))

    assert wished.items == plain.items


def test_an_added_item_counts_by_its_own_values_in_calibration(root, engine):
    live = LiveEngine(engine, root)
    live.upsert([Item(item_id="new", title="red lamp", attributes={"colour": ["red"]})])
    live.close()
    diversity = Diversity(calibrated=1.0, calibrated_by="colour")

    found = live.current.retrieve(
        Shopper(history=["new"], search="red lamp"), Wishes(limit=8, diversity=diversity)
    )

    assert set(colours(found)) == {"red"}


@pytest.mark.parametrize(
    ("diversity", "rule"),
    [
        (Diversity(strength=1.5), "strength of diversity must be within 0 and 1, got 1.5"),
        (Diversity(strength=-0.1), "strength of diversity must be within 0 and 1, got -0.1"),
        (Diversity(strength=float("nan")), "within 0 and 1, got nan"),
        (Diversity(calibrated=1.5), "calibrated of diversity must be within 0 and 1, got 1.5"),
        (Diversity(calibrated=0.5, strength=0.5), "must not come with a strength, got 0.5 and 0.5"),
        (
            Diversity(calibrated_by="colour"),
            "calibrated_by must come with calibrated, got 'colour'",
        ),
        (
            Diversity(calibrated=0.5, calibrated_by="new"),
            r"attribute of profiles \(colour, thing, price\), got 'new'",
        ),
        (Diversity(at_most={"colour": 0}), "items of diversity must be at least 1 for 'colour', g"),
        (Diversity(at_most={"size": 2}), r"keyword attribute \(colour, thing\), got 'size'"),
        (Diversity(at_most={"price": 2}), r"keyword attribute \(colour, thing\), got 'price'"),
    ],
)
def test_an_invalid_diversity_is_refused_by_name(engine, diversity, rule):
    for ask in (engine.recommend, engine.retrieve):
        with pytest.raises(InvalidRequestError, match=rule):
            ask(Shopper(history=HISTORY), Wishes(limit=5, diversity=diversity))


def test_the_client_sends_diversity_to_the_server(client, fake):
    diversity = Diversity(
        at_most={"brand": 2, "category": 3}, calibrated=0.25, calibrated_by="brand"
    )

    client.recommend(Shopper(), Wishes(diversity=diversity))
    client.retrieve(Shopper(), Wishes(diversity=diversity))

    assert fake.calls == [
        ("recommend", Shopper(), Wishes(diversity=diversity)),
        ("retrieve", Shopper(), Wishes(diversity=diversity)),
    ]


def test_a_repeated_attribute_is_an_invalid_argument(server):
    from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb

    twice = pb.Diversity(at_most=[pb.AtMost(attribute="a", items=1)] * 2)
    with RecommenderClient(server.address) as client, pytest.raises(grpc.RpcError) as caught:
        client._stub.Recommend(pb.RecommendRequest(wishes=pb.Wishes(diversity=twice)), timeout=10)

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == "attribute of diversity must occur once, got 'a' twice"

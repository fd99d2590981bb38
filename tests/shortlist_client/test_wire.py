from dataclasses import fields
from datetime import UTC, date, datetime, timedelta, timezone

import grpc
import numpy as np
import pytest

from shortlist_client.api.answer import (
    Answer,
    Basis,
    Coverage,
    Degraded,
    RankedItem,
    Reason,
    Source,
)
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.filters import AnyOf, Filters, Range
from shortlist_client.api.item import Item
from shortlist_client.api.request import Diversity, Shopper, Wishes
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb
from shortlist_client.proto.recommender.v1.catalog_pb2 import CatalogItem
from shortlist_client.wire.answer import to_response
from shortlist_client.wire.catalog import item_message, to_item
from shortlist_client.wire.filters import filters_message, read_filters, to_filters
from shortlist_client.wire.request import (
    shopper_message,
    to_shopper,
    to_wishes,
    wishes_message,
)

SHOPPER = Shopper(
    user_id="u", history=["a", "b"], history_times=[5, 9], history_actions=["", "buy"]
)
SEVEN = Wishes(limit=7)
CALLS = {
    "recommend": lambda client: client.recommend(SHOPPER, SEVEN),
    "retrieve": lambda client: client.retrieve(SHOPPER, SEVEN),
    "rank": lambda client: client.rank(["c", "d"], SHOPPER, SEVEN),
    "similar": lambda client: client.similar("c", SEVEN),
}


def any_answer(seed):
    """A random answer: absent scores, unusual texts, float32 and float64, maybe no items."""
    rng = np.random.default_rng(seed)

    def maybe(value):
        return value if rng.random() < 0.5 else None

    return Answer(
        items=[
            RankedItem(
                item_id=f"item {rng.integers(1000)}",
                title=str(rng.choice(["", "Été: 日本 🎮", "Lamp", "[bold]x[/]"])),
                score=float(rng.normal()),
                tower_score=maybe(float(np.float32(rng.normal()))),
                neighbour_score=maybe(float(np.float32(rng.random()))),
                sources=tuple(source for source in Source if rng.random() < 0.5),
                shortlist_rank=maybe(int(rng.integers(1, 201))),
                ranker_score=maybe(float(rng.choice([0.0, -0.0, 1e300, rng.normal()]))),
                probability=maybe(float(rng.choice([0.0, 1.0, rng.random()]))),
                reasons=tuple(
                    Reason(item_id=f"item {n}", contribution=float(rng.normal()))
                    for n in range(rng.integers(0, 3))
                ),
            )
            for _ in range(rng.integers(0, 30))
        ],
        basis=rng.choice(list(Basis)),
        coverage=Coverage(
            corpus=int(rng.integers(1 << 40)),
            searched=int(rng.integers(1 << 40)),
            recalled=int(rng.integers(1 << 31)),
            ranked=int(rng.integers(1 << 31)),
        ),
        unknown_item_ids=tuple(f"gone {n}" for n in range(rng.integers(0, 3))),
        unknown_user=bool(rng.random() < 0.5),
        degraded=maybe(list(Degraded)[rng.integers(2)]),
        milliseconds={stage: float(rng.exponential()) for stage in ("index", "total")},
    )


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("seed", range(10))
def test_the_grpc_answer_equals_the_engines_answer(client, fake, method, seed):
    fake.answer = any_answer(seed)

    response = CALLS[method](client)

    assert response.milliseconds.pop("queue") >= 0
    for field in fields(Answer):
        assert getattr(response, field.name) == getattr(fake.answer, field.name), field.name
    assert response.versions == fake.versions


def test_a_client_leaves_out_a_source_that_it_does_not_know():
    message = pb.Answer(items=[pb.RankedItem(item_id="i1", sources=[pb.SOURCE_WORDS, 99])])

    (item,) = to_response(message).items

    assert item.sources == (Source.WORDS,)


def test_the_engine_receives_the_clients_requests(client, fake):
    for call in CALLS.values():
        call(client)

    assert fake.calls == [
        ("recommend", SHOPPER, SEVEN),
        ("retrieve", SHOPPER, SEVEN),
        ("rank", ("c", "d"), SHOPPER, SEVEN),
        ("similar", "c", SEVEN),
    ]


def test_every_field_of_a_request_survives_the_conversion():
    shopper = Shopper(
        user_id="",
        history=["a", "b"],
        history_times=[5, 9],
        history_actions=["", "buy"],
        search="lamp",
        vector=[0.5, -1],
    )
    wishes = Wishes(
        limit=0,
        filters=FILTERS,
        exclude=["x"],
        diversity=Diversity(
            strength=0.25, at_most={"brand": 2}, calibrated=0.5, calibrated_by="brand"
        ),
        explain=True,
        explain_texts=True,
        release="r-1",
        request_id="name",
        min_probability=0.125,
        placement="home",
    )
    for given, default in ((shopper, Shopper()), (wishes, Wishes())):
        for field in fields(given):  # so that a new field gets a value above
            assert getattr(given, field.name) != getattr(default, field.name), field.name

    assert to_shopper(shopper_message(shopper)) == shopper
    assert to_wishes(wishes_message(wishes)) == wishes
    assert to_shopper(shopper_message(Shopper())) == Shopper()
    assert to_wishes(wishes_message(Wishes())) == Wishes()


MOMENT = datetime(2024, 2, 29, 23, 59, 59, 123456, UTC)
FILTERS = Filters(
    must=(AnyOf("brand", ("Été", "")), Range("price", gte=0, lt=0.1)),
    should=(AnyOf("stock", (0, -0.5)), AnyOf("new", (True, False)), Range("since", gt=MOMENT)),
    must_not=(
        AnyOf("brand", ()),
        Range("price", lte=1e300),
        AnyOf("since", (MOMENT.replace(year=4),)),
    ),
)


def test_filters_and_excluded_items_reach_the_engine(client, fake):
    wishes = Wishes(filters=FILTERS, exclude=("x", "y"))
    client.recommend(Shopper(), wishes)
    client.retrieve(Shopper(), wishes)
    client.similar("c", wishes)

    assert fake.calls[0] == ("recommend", Shopper(), wishes)
    assert fake.calls[1] == ("retrieve", Shopper(), wishes)
    assert fake.calls[2] == ("similar", "c", wishes)


def test_times_are_sent_in_utc_and_dates_as_their_midnight():
    paris = timezone(timedelta(hours=1))
    given = (date(2024, 5, 1), datetime(2024, 5, 1), datetime(2024, 5, 1, 1, tzinfo=paris))

    sent = to_filters(filters_message(Filters(must=[AnyOf("since", given)])))

    assert sent.must[0].values == (datetime(2024, 5, 1, tzinfo=UTC),) * 3


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (pb.Value(), "values must be keywords, numbers, booleans or times, got none"),
        (pb.Value(time={"seconds": 1 << 60}), "times must be within the years 1 and 9999"),
    ],
)
def test_an_impossible_filter_value_is_an_invalid_argument(client, value, message):
    clause = pb.Clause(attribute="a", any_of=pb.AnyOf(values=[value]))
    requests = {
        client._stub.Recommend: pb.RecommendRequest(
            wishes=pb.Wishes(filters=pb.Filters(must=[clause]))
        ),
        client._stub.SimilarItems: pb.SimilarItemsRequest(
            wishes=pb.Wishes(filters=pb.Filters(should=[clause]))
        ),
    }
    for call, request in requests.items():
        with pytest.raises(grpc.RpcError) as caught:
            call(request, timeout=10)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert caught.value.details().startswith(message)


def test_filters_are_read_from_the_contracts_json():
    text = """{"must": [{"attribute": "price", "range": {"lte": {"number": 20}}}],
        "mustNot": [{"attribute": "brand", "any_of": {"values": [{"keyword": "Acme"}]}}]}"""

    assert read_filters(text) == Filters(
        must=(Range("price", lte=20),), must_not=(AnyOf("brand", ("Acme",)),)
    )
    assert not read_filters("{}")
    with pytest.raises(ValueError, match="filters must be JSON"):
        read_filters('{"must": 7}')


@pytest.mark.parametrize("user_id", [None, "", "u"])
def test_an_absent_and_an_empty_user_id_differ(client, fake, user_id):
    client.recommend(Shopper(user_id=user_id))

    assert fake.calls == [("recommend", Shopper(user_id=user_id), Wishes())]


@pytest.mark.parametrize("limit", [None, 0, -1])
def test_the_engine_checks_the_limit(client, fake, limit):
    client.recommend(Shopper(), Wishes(limit=limit))

    assert fake.calls == [("recommend", Shopper(), Wishes(limit=limit))]


def test_an_answer_repeats_the_request_id(client):
    assert client.recommend(Shopper(), Wishes(request_id="r-1")).request_id == "r-1"
    assert client.retrieve(Shopper(), Wishes(request_id="r-2")).request_id == "r-2"
    assert client.rank(["c"], Shopper(), Wishes(request_id="r-3")).request_id == "r-3"
    assert client.similar("c", Wishes(request_id="r-4")).request_id == "r-4"
    assert client.recommend(Shopper()).request_id == ""


@pytest.mark.parametrize("value", [2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 7, 2.5])
def test_whole_numbers_of_64_bits_arrive_whole(value):
    filters = Filters(must=[AnyOf("seller", [value]), Range("seller", gte=value)])
    item = Item(item_id="a", title="b", attributes={"seller": value, "new": True})

    received = to_filters(pb.Filters.FromString(filters_message(filters).SerializeToString()))
    back = to_item(CatalogItem.FromString(item_message(item).SerializeToString()))

    assert received == filters
    assert back == item
    assert type(back.attributes["seller"]) is type(value)


def test_a_whole_number_that_a_double_holds_is_sent_as_before():
    """Older servers know neither field."""
    message = filters_message(Filters(must=[AnyOf("year", [1995])]))

    assert message.must[0].any_of.values[0].WhichOneof("kind") == "number"
    assert not item_message(Item(item_id="a", title="b", attributes={"year": 1995})).integers


def test_an_attribute_in_both_fields_is_refused():
    message = item_message(Item(item_id="a", title="b", attributes={"seller": 7}))
    message.integers["seller"] = 7

    with pytest.raises(InvalidRequestError, match=r"integers must not repeat .* 'seller'"):
        to_item(message)

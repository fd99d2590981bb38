"""Fields that a call honours, and fields that it refuses."""

from dataclasses import fields

import grpc
import pytest

from serving.api.limits import DEFAULT_LIMITS
from serving.api.request import Method, Request, check_honoured
from serving.api.validation import check_answerable
from shortlist_client import AnyOf, Diversity, Filters, Shopper, Wishes
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.request import HONOURED
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb
from shortlist_client.wire.request import shopper_message, wishes_message

SET = {
    "user_id": "u",
    "history": ["i1"],
    "history_times": [5],
    "history_actions": ["buy"],
    "search": "lamp",
    "vector": [0.5],
    "limit": 3,
    "filters": Filters(must=[AnyOf("colour", ["red"])]),
    "exclude": ["i2"],
    "diversity": Diversity(strength=0.5),
    "explain": True,
    "explain_texts": True,
    "release": "r-1",
    "request_id": "name",
    "min_probability": 0.1,
    "placement": "home",
}
NAMES = {kind: {field.name for field in fields(kind)} for kind in (Shopper, Wishes)}


def test_the_tables_list_every_field_and_method():
    assert set(SET) == NAMES[Shopper] | NAMES[Wishes]
    assert set(HONOURED) == {method.value for method in Method}
    assert set.union(*map(set, HONOURED.values())) == set(SET)


def with_one(name):
    part = "shopper" if name in NAMES[Shopper] else "wishes"
    return {part: (Shopper if part == "shopper" else Wishes)(**{name: SET[name]})}


@pytest.mark.parametrize("name", SET)
@pytest.mark.parametrize("method", Method)
def test_a_call_refuses_exactly_the_fields_that_it_cannot_honour(method, name):
    request = Request(method=method, **with_one(name))

    if name in HONOURED[method.value]:
        check_honoured(request)
    else:
        with pytest.raises(
            InvalidRequestError, match=f"^{name} must be absent, for `{method.value}"
        ):
            check_honoured(request)


@pytest.mark.parametrize("placement", ["x" * 65, "home page", "zuhausé", "home\n"])
def test_a_placement_of_other_characters_is_refused(placement):
    request = Request(method=Method.RECOMMEND, wishes=Wishes(placement=placement))

    with pytest.raises(InvalidRequestError, match=r"^placement must be at most 64 ASCII letters"):
        check_answerable(request, None, DEFAULT_LIMITS)

    good = Request(method=Method.SIMILAR, wishes=Wishes(placement="basket/below_1.b-2"))
    check_answerable(good, None, DEFAULT_LIMITS)


CALLS = {
    "Rank": (pb.RankRequest(candidate_item_ids=["i1"]), SET.keys() - HONOURED["rank"]),
    "SimilarItems": (pb.SimilarItemsRequest(item_id="i1"), {"diversity", "explain"}),
    "Embed": (pb.EmbedRequest(shopper={}), {"vector", "limit", "filters", "exclude", "explain"}),
    "Profile": (pb.ProfileRequest(), SET.keys() - HONOURED["profile"]),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_grpc_call_refuses_fields_that_it_cannot_honour(start, engine, call):
    server = start(lambda: engine)
    server.loaded.result(10)
    request, refused = CALLS[call]
    with grpc.insecure_channel(server.address) as channel:
        stub = channel.unary_unary(
            f"/recommender.v1.RecommenderService/{call}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=lambda sent: sent,
        )
        assert stub(request, timeout=10)
        for name in refused:
            part = with_one(name)
            wished = type(request)()
            wished.CopyFrom(request)
            if "shopper" in part:
                wished.shopper.CopyFrom(shopper_message(part["shopper"]))
            else:
                wished.wishes.CopyFrom(wishes_message(part["wishes"]))
            with pytest.raises(grpc.RpcError, match=f"{name} must be absent") as caught:
                stub(wished, timeout=10)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_the_default_limit_is_20_or_all_candidates():
    candidates = [f"i{row}" for row in range(50)]

    assert Request(method=Method.RECOMMEND).limit == 20
    assert Request(method=Method.RANK, candidates=candidates).limit == 50
    assert Request(method=Method.RANK, candidates=candidates, wishes=Wishes(limit=3)).limit == 3


def test_rank_returns_every_candidate(base):
    candidates = [f"i{row}" for row in range(100, 140)]

    answer = base.rank(Shopper(history=["i3"]), candidates)

    assert {item.item_id for item in answer.items} == set(candidates)

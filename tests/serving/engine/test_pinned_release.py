"""Requests pinned to one release."""

from dataclasses import replace

import grpc
import pytest

from serving.api.errors import OtherReleaseError
from serving.api.limits import Limits
from serving.api.request import Method, Request
from serving.engine.engine import Engine, EngineConfig
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.client import RecommenderClient
from shortlist_client.errors import ReleaseChangedError

SHOPPER = Shopper(history=["i3"])


@pytest.fixture(scope="module")
def engine(release):
    """Engine of a published release."""
    engine = Engine.load(release, EngineConfig(ranked=6, limits=Limits(shortlist=12)))
    versions = {**engine.versions, "release": "r-2"}
    return replace(engine, cascade=replace(engine.cascade, versions=versions))


CALLS = {
    Method.RECOMMEND: lambda client, wishes: client.recommend(SHOPPER, wishes),
    Method.RETRIEVE: lambda client, wishes: client.retrieve(SHOPPER, wishes),
    Method.RANK: lambda client, wishes: client.rank(["i7"], SHOPPER, wishes),
    Method.SIMILAR: lambda client, wishes: client.similar("i7", wishes),
}


@pytest.mark.parametrize("method", CALLS)
def test_pinning_the_live_release_does_not_change_the_answer(engine_client, method):
    call = CALLS[method]
    named = call(engine_client, Wishes(limit=3, release="r-2"))

    assert named.items == call(engine_client, Wishes(limit=3)).items
    assert named.versions["release"] == "r-2"


@pytest.mark.parametrize("method", CALLS)
def test_pinning_another_release_is_refused_with_the_live_id(engine_client, method):
    with pytest.raises(ReleaseChangedError) as caught:
        CALLS[method](engine_client, Wishes(release="r-1"))

    assert caught.value.live == "r-2"
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert caught.value.details() == "release must be the live one, 'r-2', got 'r-1'"


def test_only_requests_pinned_to_another_release_are_refused_in_a_batch(engine):
    requests = [
        Request(method=Method.RECOMMEND, shopper=SHOPPER, wishes=Wishes(limit=5, release=name))
        for name in ("r-1", "r-2", "")
    ]

    told = dict(engine.answers(requests))

    assert isinstance(told[0], OtherReleaseError)
    assert told[1].items == told[2].items


def test_unpublished_stages_refuse_every_pinned_release(release, start):
    engine = Engine.load(release, EngineConfig(ranked=6, limits=Limits(shortlist=12)))
    server = start(lambda: engine)
    with (
        RecommenderClient(server.address, timeout=10) as client,
        pytest.raises(ReleaseChangedError, match="never published, got 'r-1'") as caught,
    ):
        client.recommend(Shopper(), Wishes(release="r-1"))

    assert caught.value.live is None


def test_a_release_id_that_is_too_long_is_refused_by_name(engine):
    wishes = Wishes(release="x" * 257)

    ((_, told),) = engine.answers([Request(method=Method.RECOMMEND, wishes=wishes)])

    assert isinstance(told, InvalidRequestError)
    assert str(told) == "release must have 1 to 256 characters, got 257"

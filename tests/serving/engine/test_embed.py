"""Embeddings of shoppers, items and texts, from the engine and over gRPC."""

import grpc
import numpy as np
import pytest

from serving.api.limits import Limits
from serving.api.request import Method, Request
from serving.engine.engine import Engine, EngineConfig
from serving.live.live_engine import LiveEngine
from shortlist_client.api.item import Item
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.errors import ReleaseChangedError
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb
from tests.rounding import BATCHES, SERVED, rounding

pytestmark = pytest.mark.numeric

LIMITS = Limits(shortlist=12, embedded=5, text_length=50)


@pytest.fixture(scope="module")
def engine(release):
    return Engine.load(release, EngineConfig(ranked=6, limits=LIMITS))


def values(embedded):
    return np.array([embedding.values for embedding in embedded.embeddings])


def corpus(release):
    return np.load(release / "towers" / "item_embeddings.npy")


def test_a_shoppers_embedding_is_the_one_that_recommends(engine_client, engine):
    asked = {"history": ["i3", "i1"], "history_times": [5, 9], "history_actions": ["buy", "view"]}
    embedded = engine_client.embed.shopper(Shopper(**asked), Wishes(request_id="r"))
    item = engine_client.retrieve(Shopper(**asked), Wishes(limit=1)).items[0]

    (vector,) = values(embedded)
    row = engine.cascade.catalogue.row(item.item_id)
    assert item.tower_score == pytest.approx(
        float(vector @ engine.cascade.retriever.sources.index.vectors(np.array([row]))[0]),
        abs=rounding(1, **BATCHES, dtype=SERVED),
    )
    assert np.linalg.norm(vector) == pytest.approx(1, abs=rounding(1, terms=16))
    assert embedded.versions["towers"] == engine.versions["towers"]
    assert embedded.request_id == "r"
    assert {"user_tower", "total", "queue"} == set(embedded.milliseconds)


def test_a_shoppers_embedding_finds_the_same_items_as_the_shopper(engine_client):
    for asked in ({"search": "blue lamp"}, {"search": "blue lamp", "history": ["i3"]}):
        (vector,) = values(engine_client.embed.shopper(Shopper(**asked)))
        found = engine_client.retrieve(
            Shopper(vector=vector.tolist(), history=asked.get("history", ())), Wishes(limit=5)
        )
        expected = engine_client.retrieve(Shopper(**asked), Wishes(limit=5))
        assert [i.item_id for i in found.items] == [i.item_id for i in expected.items]


def test_a_users_embedding_uses_the_whole_recorded_history(engine_client, engine, shop):
    rows, interaction_codes, _ = engine.cascade.catalogue.history("u4")

    (vector,) = values(engine_client.embed.shopper(Shopper(user_id="u4")))

    expected = engine.cascade.retriever.embed(rows, {}, interaction_codes=interaction_codes)
    tolerance = rounding(expected, **BATCHES, dtype=SERVED)
    np.testing.assert_allclose(vector, expected, atol=tolerance)


def test_an_unknown_shopper_has_no_embedding(engine_client):
    stranger = engine_client.embed.shopper(Shopper(user_id="stranger"))
    nobody = engine_client.embed.shopper(Shopper(history=["gone"]))

    assert stranger.embeddings == nobody.embeddings == []
    assert stranger.unknown_user
    assert nobody.unknown_item_ids == ("gone",)


def test_items_have_the_embeddings_of_the_index(engine_client, release):
    embedded = engine_client.embed.items(["i9", "gone", "i4", "i9"])

    assert [embedding.item_id for embedding in embedded.embeddings] == ["i9", "i4"]
    assert embedded.unknown_item_ids == ("gone",)
    np.testing.assert_array_equal(values(embedded), corpus(release)[[9, 4]])
    assert engine_client.embed.items(["gone"]).embeddings == []


def test_a_text_has_the_embedding_of_a_new_item_with_that_text(engine, release, root):
    live = LiveEngine(engine, root)
    live.upsert([Item(item_id="new", title="navy rug"), Item(item_id="i3", title="pink mug")])
    asks = [
        Request(method=Method.EMBED_ITEMS, candidates=["new", "i3"]),
        Request(method=Method.EMBED_TEXTS, texts=["navy rug", "pink mug"]),
    ]

    told = dict(live.current.answers(asks))
    live.close()

    items, texts = values(told[0]), values(told[1])
    tolerance = rounding(items, **BATCHES, dtype=SERVED)
    np.testing.assert_allclose(items[0], texts[0], atol=tolerance)
    assert not np.allclose(items[1], texts[1], atol=10 * tolerance)  # it keeps its residual
    assert not np.allclose(items[1], corpus(release)[3], atol=10 * tolerance)


def test_embedding_with_a_release_that_is_not_live_is_refused(engine_client):
    wishes = Wishes(release="r-1")
    for embed, target in (
        (engine_client.embed.shopper, Shopper()),
        (engine_client.embed.items, ["i3"]),
        (engine_client.embed.texts, ["a"]),
    ):
        with pytest.raises(ReleaseChangedError):
            embed(target, wishes)


@pytest.mark.parametrize(
    ("request_", "rule"),
    [
        (pb.EmbedRequest(), "target must be a shopper, items or texts, got none"),
        (pb.EmbedRequest(items={}), "item_ids must be 1 to 5, got 0"),
        (pb.EmbedRequest(items={"item_ids": ["a"] * 6}), "item_ids must be 1 to 5, got 6"),
        (pb.EmbedRequest(items={"item_ids": [""]}), "item_id must have 1 to 256 characters, got 0"),
        (pb.EmbedRequest(texts={}), "texts must be 1 to 5, got 0"),
        (
            pb.EmbedRequest(texts={"texts": [" \n"]}),
            "texts must have 1 to 50 characters, not all blank, got 2",
        ),
        (
            pb.EmbedRequest(texts={"texts": ["x" * 51]}),
            "texts must have 1 to 50 characters, not all blank, got 51",
        ),
        (
            pb.EmbedRequest(shopper={"history_item_ids": ["a"], "history_times": [1, 2]}),
            "history_times must be as many as the 1 items of the history, or none, got 2",
        ),
        (
            pb.EmbedRequest(shopper={"search": "x" * 1001}),
            "search must be at most 1000 characters, got 1001",
        ),
    ],
)
def test_an_invalid_request_is_refused_by_name(engine_client, request_, rule):
    with pytest.raises(grpc.RpcError) as caught:
        engine_client._stub.Embed(request_, timeout=10)

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == rule


def test_embeddings_and_recommendations_share_a_batch(engine):
    shopper, wishes = Shopper(history=["i3"]), Wishes(limit=5)
    requests = [
        Request(method=Method.EMBED_SHOPPER, shopper=shopper),
        Request(method=Method.RECOMMEND, shopper=shopper, wishes=wishes),
    ]

    told = dict(engine.answers(requests))

    assert len(told[0].embeddings) == 1
    assert told[0].items == []
    assert told[1].items == engine.recommend(shopper, wishes).items
    assert told[1].embeddings == ()

"""Requests with a user embedding instead of a shopper."""

import numpy as np
import pytest

from serving.api.limits import Limits
from serving.api.request import Method, Request
from serving.engine.engine import Engine, EngineConfig
from shortlist_client.api.answer import Basis, Source
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.filters import AnyOf, Filters
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.client import RecommenderClient
from tests.rounding import rounding

pytestmark = pytest.mark.numeric

DIMENSION = 16


@pytest.fixture(scope="module")
def engine(release):
    return Engine.load(release, EngineConfig(ranked=6, limits=Limits(shortlist=12)))


def ids(answer):
    return [item.item_id for item in answer.items]


def vector(seed=0):
    return tuple(np.random.default_rng(seed).normal(size=DIMENSION).tolist())


def nearest(release, given, left_out=()):
    """Item ids by exact search."""
    corpus = np.load(release / "towers" / "item_embeddings.npy")
    order = np.argsort(-(corpus @ np.array(given)), kind="stable")
    return [f"i{row}" for row in order if f"i{row}" not in left_out][:12]


@pytest.mark.parametrize("seed", range(5))
def test_a_vector_finds_its_nearest_items(engine, release, seed):
    given = vector(seed)

    for ask in (engine.recommend, engine.retrieve):
        answer = ask(Shopper(vector=given), Wishes(limit=12))
        assert answer.basis is Basis.VECTOR
        assert ids(answer) == nearest(release, given)
        assert all(item.sources == (Source.TOWERS,) for item in answer.items)
        assert all(item.ranker_score is None for item in answer.items)
        assert "user_tower" not in answer.milliseconds


@pytest.mark.parametrize("length", [1e-30, 1e-3, 1e3, 1e30])
def test_the_length_of_a_vector_does_not_matter(engine, length):
    given = np.array(vector())
    unit = Shopper(vector=tuple(given / np.linalg.norm(given)))
    scaled = Shopper(vector=tuple(length * given))

    found, expected = (engine.retrieve(one, Wishes(limit=12)) for one in (scaled, unit))

    assert ids(found) == ids(expected)
    np.testing.assert_allclose(
        [item.tower_score for item in found.items],
        [item.tower_score for item in expected.items],
        atol=rounding(1, terms=16),
    )


def test_the_embedding_of_a_search_finds_the_same_items_as_the_search(engine):
    asked = engine.cascade.retriever.embed(np.empty(0, np.int32), {}, search="blue lamp")

    assert ids(engine.retrieve(Shopper(vector=tuple(asked.tolist())), Wishes(limit=12))) == ids(
        engine.retrieve(Shopper(search="blue lamp"), Wishes(limit=12))
    )


def test_a_history_beside_a_vector_is_only_excluded(engine, release):
    history = nearest(release, vector())[:3]
    red = Filters(must=[AnyOf("colour", ["red"])])

    answer = engine.recommend(Shopper(vector=vector(), history=history), Wishes(limit=12))
    filtered = engine.recommend(
        Shopper(vector=vector(), history=history), Wishes(filters=red, limit=12)
    )

    assert ids(answer) == nearest(release, vector(), history)
    assert all(item.title.startswith("red") for item in filtered.items)
    assert answer.coverage.searched == 237


def test_vectors_and_histories_share_a_batch(engine):
    shoppers, wishes = [Shopper(vector=vector()), Shopper(history=["i3"])], Wishes(limit=12)
    requests = [
        Request(method=Method.RETRIEVE, shopper=shopper, wishes=wishes) for shopper in shoppers
    ]

    found = dict(engine.answers(requests))

    for place, shopper in enumerate(shoppers):
        assert ids(found[place]) == ids(engine.retrieve(shopper, wishes))


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        ({"vector": (1.0,) * 15}, "vector must have as many numbers as the towers' 16, got 15"),
        ({"vector": (0.0,) * 16}, "vector must not be zero, got zeros alone"),
        ({"vector": (1.0,) * 15 + (float("nan"),)}, "vector must be finite, got nan or inf"),
        ({"vector": (1.0,) * 15 + (float("inf"),)}, "vector must be finite, got nan or inf"),
        ({"vector": (1.0,) * 16, "search": "x"}, "vector must not come with a search, got both"),
    ],
)
def test_an_invalid_vector_is_refused_by_name(engine, asked, rule):
    for ask in (engine.recommend, engine.retrieve):
        with pytest.raises(InvalidRequestError, match=rule):
            ask(Shopper(**asked), Wishes(limit=5))


def test_a_vector_request_over_grpc_gets_the_engines_answer(start, engine):
    server = start(lambda: engine)
    given = tuple(np.array(vector(), np.float32).tolist())
    with RecommenderClient(server.address, timeout=10) as client:
        for remote, local in (
            (client.recommend, engine.recommend),
            (client.retrieve, engine.retrieve),
        ):
            shopper, wishes = Shopper(vector=given), Wishes(limit=9)
            response, answer = remote(shopper, wishes), local(shopper, wishes)
            assert response.items == answer.items
            assert response.basis is Basis.VECTOR

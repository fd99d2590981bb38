import pytest

from serving.engine.engine import Engine, EngineConfig
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.client import RecommenderClient

TIMED = {"milliseconds"}


@pytest.fixture(scope="module")
def engine(release):
    return Engine.load(release, EngineConfig())


@pytest.fixture
def client(start, engine):
    running = start(lambda: engine)
    running.loaded.result(10)
    with RecommenderClient(running.address, timeout=10) as client:
        yield client


def assert_same(response, answer):
    for field in set(vars(answer)) - TIMED:
        given, made = getattr(response, field), getattr(answer, field)
        if field in {"items", "unknown_item_ids"}:
            given, made = list(given), list(made)
        assert given == made, field


HISTORIES = [["i3", "i1"], ["i45", "nope", "i44", "i45"], [], ["nope"]]


@pytest.mark.parametrize("history", HISTORIES)
def test_the_grpc_answer_equals_the_engines_answer_for_a_history(client, engine, history):
    shopper, wishes = Shopper(history=tuple(history)), Wishes(limit=100)

    assert_same(
        client.recommend(Shopper(history=history), Wishes(limit=100)),
        engine.recommend(shopper, wishes),
    )
    assert_same(
        client.retrieve(Shopper(history=history), Wishes(limit=100)),
        engine.retrieve(shopper, wishes),
    )
    candidates = ["i9", "i200", "gone", "i4"]
    assert_same(
        client.rank(candidates, Shopper(history=history), Wishes(limit=10)),
        engine.rank(shopper, candidates, Wishes(limit=10)),
    )


def test_the_grpc_answer_equals_the_engines_answer_for_users_and_items(client, engine):
    for user_id in ("u0", "u7", "stranger"):
        assert_same(
            client.recommend(Shopper(user_id=user_id), Wishes(limit=20)),
            engine.recommend(Shopper(user_id=user_id), Wishes(limit=20)),
        )
    assert_same(client.similar("i4", Wishes(limit=15)), engine.similar("i4", Wishes(limit=15)))


def test_the_grpc_answer_equals_the_engines_answer_for_a_search(client, engine):
    shopper, wishes = Shopper(search="blue lamp", history=("i3",)), Wishes(limit=20)

    recommended = client.recommend(Shopper(search="blue lamp", history=["i3"]), Wishes(limit=20))
    retrieved = client.retrieve(Shopper(search="blue lamp", history=["i3"]), Wishes(limit=20))

    assert_same(recommended, engine.recommend(shopper, wishes))
    assert_same(retrieved, engine.retrieve(shopper, wishes))

"""Deadlines and a full queue, seen from a client."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import grpc
import pytest

from serving.api.limits import Limits
from serving.batching.request_queue import QueueConfig
from serving.engine.engine import Engine, EngineConfig
from shortlist_client.api.answer import Degraded
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.client import RecommenderClient
from shortlist_client.errors import OverloadedError

SECONDS = 10


def test_a_full_queue_refuses_at_once_and_says_when_to_retry(start, fake):
    server = start(lambda: fake, queue=QueueConfig(requests=1))
    server.loaded.result(SECONDS)
    fake.gate.clear()
    with RecommenderClient(server.address) as client, ThreadPoolExecutor() as pool:
        first = pool.submit(client.recommend, Shopper())
        assert fake.entered.wait(SECONDS)
        others = [pool.submit(client.recommend, Shopper()) for _ in range(3)]
        refused = [o for o in others if isinstance(_error(o, 0.5), OverloadedError)]
        assert len(refused) == 2
        error = refused[0].exception()
        fake.gate.set()
        assert first.result(SECONDS).items
        assert len([o for o in others if o.exception() is None]) == 1

    assert isinstance(error, grpc.RpcError)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "1 requests wait already; try again in" in error.details()
    assert error.retry_seconds >= 0.01


def _error(future, seconds):
    try:
        return future.exception(seconds)
    except TimeoutError:
        return None


def test_a_too_large_request_is_not_reported_as_overload(start, fake):
    server = start(lambda: fake, max_message_bytes=1_000)
    server.loaded.result(SECONDS)

    with RecommenderClient(server.address) as client, pytest.raises(grpc.RpcError) as caught:
        client.recommend(Shopper(history=["x" * 100] * 50))

    assert not isinstance(caught.value, OverloadedError)


class SlowRanker:
    """A ranker that needs `seconds` longer to score."""

    def __init__(self, ranker, seconds):
        self._ranker, self._seconds = ranker, seconds

    def score_all(self, *given, searches):
        time.sleep(self._seconds)
        return self._ranker.score_all(*given, searches=searches)

    def __getattr__(self, name):
        return getattr(self._ranker, name)


def test_a_deadline_too_short_to_rank_gets_the_shortlist_in_time(start, release):
    engine = Engine.load(release, EngineConfig(ranked=6, limits=Limits(shortlist=12)))
    slow = SlowRanker(engine.cascade.ranker, 0.6)
    engine = replace(engine, cascade=replace(engine.cascade, ranker=slow))
    server = start(lambda: engine)
    server.loaded.result(SECONDS)
    with (
        RecommenderClient(server.address, timeout=30) as patient,
        RecommenderClient(server.address, timeout=0.4) as hasty,
    ):
        for _ in range(3):  # the latency estimator learns how long ranking takes
            whole = patient.recommend(Shopper(history=["i3", "i1"]), Wishes(limit=12))
        hurried = hasty.recommend(Shopper(history=["i3", "i1"]), Wishes(limit=12))
        retrieved = hasty.retrieve(Shopper(history=["i3", "i1"]), Wishes(limit=12))

    assert whole.degraded is retrieved.degraded is None
    assert hurried.degraded is Degraded.DEADLINE
    assert hurried.items == retrieved.items

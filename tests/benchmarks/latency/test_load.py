import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest

from benchmarks.latency.load import Outcome, at_rate, in_flight
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb
from shortlist_client.proto.recommender.v1.recommender_pb2_grpc import (
    RecommenderServiceServicer,
    add_RecommenderServiceServicer_to_server,
)


class Slow(RecommenderServiceServicer):
    """Answers slowly; with `errors` it refuses every third request and fails every fifth."""

    def __init__(self):
        self.seconds, self.errors = 0.05, False
        self.limits, self.in_flight, self.most_in_flight = [], 0, 0
        self._lock = threading.Lock()

    def Recommend(self, request, context):  # noqa: N802  # name of the gRPC method
        with self._lock:
            self.limits.append(request.wishes.limit)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            number = len(self.limits)
        time.sleep(self.seconds)
        with self._lock:
            self.in_flight -= 1
        if self.errors and number % 3 == 0:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many")
        if self.errors and number % 5 == 0:
            context.abort(grpc.StatusCode.INTERNAL, "broken")
        return pb.RecommendResponse()


@pytest.fixture
def slow():
    return Slow()


@pytest.fixture
def address(slow):
    server = grpc.server(ThreadPoolExecutor(32))
    add_RecommenderServiceServicer_to_server(slow, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait()


REQUESTS = [pb.RecommendRequest(wishes=pb.Wishes(limit=limit)) for limit in (1, 2, 3)]


def test_in_flight_keeps_exactly_the_given_number_of_requests_in_flight(slow, address):
    found = asyncio.run(in_flight(address, REQUESTS, 4, 0.5))

    assert slow.most_in_flight == 4
    assert len(found.answered) == len(slow.limits) >= 4
    assert found.seconds >= 0.5
    assert len(found.answered) <= 4 * (1 + found.seconds / slow.seconds)
    assert min(found.answered) >= 50


def test_at_rate_does_not_wait_for_answers(slow, address):
    slow.seconds = 0.3

    found = asyncio.run(at_rate(address, REQUESTS, 40, 0.5))

    assert len(found.answered) == 20
    assert sorted(slow.limits) == [1] * 7 + [2] * 7 + [3] * 6
    assert slow.most_in_flight > 5  # one after another, 20 requests would take 6 seconds
    assert min(found.answered) >= 300
    assert found.seconds >= 0.3


def test_answered_refused_and_failed_requests_are_counted_separately(slow, address):
    slow.errors = True

    found = asyncio.run(at_rate(address, REQUESTS, 100, 0.3))

    assert (len(found.answered), len(found.refused), len(found.failed)) == (16, 10, 4)
    assert set(found.failed) == {"INTERNAL: broken"}
    assert min(found.refused) >= 50


def test_without_a_server_every_request_fails():
    found = asyncio.run(at_rate("127.0.0.1:1", REQUESTS, 100, 0.05))

    assert found.answered == found.refused == []
    assert len(found.failed) == 5
    assert found.failed[0].startswith("UNAVAILABLE: ")


def test_percentiles_count_only_answered_requests():
    found = Outcome(answered=[float(n) for n in range(101)], refused=[1e6], failed=["x"])

    assert (found.percentile(50), found.percentile(99)) == (50.0, 99.0)
    assert np.isnan(Outcome(refused=[1.0]).percentile(50))

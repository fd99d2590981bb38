"""Fuzzing: hostile requests to every method cause no internal error and do not stop the server."""

import gc
import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from tqdm import tqdm

from events.open_store import open_store
from serving.live.live_engine import LiveEngine
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.client import RecommenderClient
from tests.serving.server.hostile import calls, methods

SECONDS, TOGETHER, BLOCK = 60, 10, 25
NEVER = {
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DATA_LOSS,
}
METHODS = methods()
OF_RELEASES = {"ListReleases", "LoadRelease", "ActivateRelease", "RollBack"}
"""Methods that fail here, because the server serves unpublished stages."""
RULES = settings(
    max_examples=BLOCK,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # shrinking ten requests takes too long
    suppress_health_check=list(HealthCheck),
)
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")


@pytest.fixture
def fuzz(start, engine, base, root):
    """Function that sends fuzzed requests, checks log and answers, and counts the statuses."""
    running = start(lambda: engine, parts={"store": open_store(str(root / "events.sqlite"))})
    running.loaded.result(SECONDS)
    shopper, wishes = Shopper(history=["i3", "i8"]), Wishes(limit=12)

    def run(requests, first):
        with logged() as records:
            statuses = fuzzed(running.address, requests, first)
            gc.collect()  # makes tasks log exceptions that were never retrieved
            with RecommenderClient(running.address, timeout=SECONDS) as client:
                answer = client.recommend(shopper, wishes)
        assert [record.getMessage() for record in records] == []
        assert len(answer.items) == 12
        assert answer.items == engine.current.recommend(shopper, wishes).items
        engine.close()
        restarted = LiveEngine(base, root).current.recommend(shopper, wishes)
        assert engine.current.recommend(shopper, wishes).items == restarted.items
        return statuses

    return run


def send(channel, call):
    """Status and message of a call."""
    method, first = METHODS[call.method], call.messages[0]
    try:
        if method.client_streaming:
            list(channel.stream_stream(call.method)(iter(call.messages), timeout=SECONDS))
        elif method.server_streaming:
            list(channel.unary_stream(call.method)(first, timeout=SECONDS))
        else:
            channel.unary_unary(call.method)(first, timeout=SECONDS)
    except grpc.RpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, ""


@contextmanager
def logged():
    """The records of errors and exceptions, from all loggers."""
    records = []

    class Collector(logging.Handler):
        def emit(self, record):
            if record.levelno >= logging.ERROR or record.exc_info:
                records.append(record)

    handler = Collector()
    logging.getLogger().addHandler(handler)
    try:
        yield records
    finally:
        logging.getLogger().removeHandler(handler)


def fuzzed(address, requests, first):
    """Send requests, `TOGETHER` at a time; each block has its own seed. Counts the statuses."""
    counts = Counter()

    with grpc.insecure_channel(address) as channel, ThreadPoolExecutor(TOGETHER) as pool:

        def one(together):
            statuses = list(pool.map(send, [channel] * TOGETHER, together))
            for call, (status, details) in zip(together, statuses, strict=True):
                counts[call.method.rsplit("/", 1)[1], status.name] += 1
                assert status not in NEVER, (status, details, call)

        blocks = range(first, first + requests // (TOGETHER * BLOCK))
        for number in tqdm(blocks, "fuzzed", unit="block", disable=len(blocks) < 10):
            together = st.lists(calls(METHODS), min_size=TOGETHER, max_size=TOGETHER)
            seed(number)(RULES(given(together)(one)))()
    return counts


def test_no_hostile_request_makes_the_server_fail(fuzz):
    counts = fuzz(250, first=1)

    assert {path.rsplit("/", 1)[1] for path in METHODS} == {method for method, _ in counts}


@pytest.mark.slow
@pytest.mark.timeout(3 * 3600)
def test_none_of_100_000_hostile_requests_makes_the_server_fail(fuzz, capsys):
    with capsys.disabled():
        counts = fuzz(100_000, first=1)
        for (method, status), count in sorted(counts.items()):
            tqdm.write(f"{count:6} {method} {status}")

    answered = {method for method, status in counts if status == "OK"}
    assert answered == {path.rsplit("/", 1)[1] for path in METHODS} - OF_RELEASES

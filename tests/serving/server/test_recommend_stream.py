"""Many recommendations over one stream, behind all who wait for an answer."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from serving.api.errors import UnavailableError
from serving.api.limits import Limits
from serving.batching.request_queue import QueueConfig
from serving.engine.engine import Engine, EngineConfig
from serving.server.servicers.recommend_stream import RecommendStreams
from shortlist_client.api.request import Diversity, Shopper, Wishes
from shortlist_client.client import RecommenderClient
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb
from shortlist_client.stream import RefusedRow

SECONDS = 10


@pytest.fixture(scope="module")
def engine(release):
    return Engine.load(release, EngineConfig(ranked=6, limits=Limits(shortlist=12)))


def users(fake):
    return [request.shopper.user_id for request in fake.requests]


def wait_for(condition):
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def waiting(server):
    """Requests that wait for the engine of a server."""
    return len(server.server.engine._waiting)


def test_every_request_is_answered_as_it_would_be_alone(start, engine):
    server = start(lambda: engine)
    queries = [
        *((Shopper(user_id=f"u{user}"), Wishes(limit=5)) for user in range(30)),
        (Shopper(history=["i3", "gone"]), Wishes(limit=7, exclude=["i7"])),
        (Shopper(search="blue lamp"), Wishes(diversity=Diversity(at_most={"colour": 1}), limit=3)),
    ]
    with RecommenderClient(server.address, timeout=SECONDS) as client:
        answers = dict(client.recommend_many(queries))

    assert sorted(answers) == list(range(len(queries)))
    for place, (shopper, wishes) in enumerate(queries):
        alone = engine.recommend(shopper, wishes)
        assert [i.item_id for i in answers[place].items] == [i.item_id for i in alone.items]
        assert answers[place].basis is alone.basis
        assert answers[place].unknown_item_ids == alone.unknown_item_ids
        assert answers[place].versions == engine.versions


def test_a_request_that_cannot_be_answered_is_told_why_and_the_others_go_on(start, engine):
    server = start(lambda: engine)
    queries = [
        (Shopper(history=["i3"]), Wishes(limit=5)),
        (Shopper(), Wishes(limit=0)),
        (Shopper(history=["i1"]), Wishes(limit=5)),
    ]
    with RecommenderClient(server.address, timeout=SECONDS) as client:
        answers = dict(client.recommend_many(queries))
        pinned = dict(client.recommend_many([(queries[0][0], Wishes(release="r-1"))]))

    assert answers[1] == RefusedRow(
        code=grpc.StatusCode.INVALID_ARGUMENT,
        message="limit must be within 1 and the shortlist of 12, got 0",
    )
    assert len(answers[0].items) == len(answers[2].items) == 5
    assert pinned[0].code is grpc.StatusCode.FAILED_PRECONDITION


def test_what_fails_inside_tells_a_stream_nothing(server, fake, caplog):
    fake.error = RuntimeError("secret")

    with RecommenderClient(server.address) as client:
        ((_, told),) = client.recommend_many([(Shopper(), Wishes())])

    assert told == RefusedRow(code=grpc.StatusCode.INTERNAL, message="internal error")
    assert "secret" in caplog.text


def test_request_ids_come_back_with_their_rows(server, fake):
    requests = [
        pb.RecommendStreamRequest(wishes=pb.Wishes(request_id=f"r{row}", limit=1))
        for row in range(20)
    ]
    with RecommenderClient(server.address) as client:
        responses = list(client._stub.RecommendStream(iter(requests), timeout=SECONDS))

    assert sorted(response.row for response in responses) == list(range(20))
    for response in responses:
        assert response.request_id == response.answer.request_id == f"r{response.row}"


def test_whoever_waits_for_an_answer_comes_before_all_requests_of_streams(start, fake):
    server = start(lambda: fake, queue=QueueConfig(stream_requests=1))
    server.loaded.result(SECONDS)
    fake.gate.clear()
    with RecommenderClient(server.address, timeout=SECONDS) as client, ThreadPoolExecutor() as pool:
        job = pool.submit(
            list, client.recommend_many((Shopper(user_id="job"), Wishes()) for _ in range(6))
        )
        fake.entered.wait(SECONDS)
        wait_for(lambda: waiting(server) == 1)
        others = [pool.submit(client.recommend, Shopper(user_id=f"u{n}")) for n in range(3)]
        wait_for(lambda: waiting(server) == 4)
        fake.gate.set()
        assert len(job.result(SECONDS)) == 6
        assert all(other.result(SECONDS) for other in others)

    assert users(fake)[0] == "job"
    assert sorted(users(fake)[1:4]) == ["u0", "u1", "u2"]
    assert users(fake)[4:] == ["job"] * 5


def test_streams_together_never_fill_the_queue_of_the_others(start, fake):
    server = start(lambda: fake, queue=QueueConfig(requests=2, stream_requests=2))
    server.loaded.result(SECONDS)
    fake.gate.clear()
    with RecommenderClient(server.address, timeout=SECONDS) as client, ThreadPoolExecutor() as pool:
        jobs = [
            pool.submit(
                list, client.recommend_many((Shopper(user_id="job"), Wishes()) for _ in range(20))
            )
            for _ in range(3)
        ]
        fake.entered.wait(SECONDS)
        wait_for(lambda: waiting(server) in (2, 3))  # of 4, 1 or 2 are in work
        one = pool.submit(client.recommend, Shopper(user_id="u"))
        wait_for(lambda: waiting(server) in (3, 4))
        fake.gate.set()

        assert one.result(SECONDS).items
        assert all(len(job.result(SECONDS)) == 20 for job in jobs)


def test_no_more_are_asked_at_once_than_may_be_whatever_the_streams():
    asked = most = 0

    async def ask(ask_):
        nonlocal asked, most
        asked += 1
        most = max(most, asked)
        await asyncio.sleep(0.001)
        asked -= 1
        raise LookupError("nothing")

    async def requests():
        for _ in range(25):
            yield pb.RecommendStreamRequest()

    async def run():
        streams = RecommendStreams(ask, draining=asyncio.Event(), at_once=3)

        async def job():
            return [row async for row in streams.answers(requests(), deadline=float("inf"))]

        return await asyncio.gather(*(job() for _ in range(4)))

    jobs = asyncio.run(run())

    assert most == 3
    assert [len(rows) for rows in jobs] == [25] * 4


def test_an_answer_does_not_wait_for_those_of_earlier_requests():
    gate = asyncio.Event()

    async def ask(ask_):
        if ask_.shopper.user_id == "slow":
            await gate.wait()
        raise LookupError("nothing")

    async def requests():
        for user_id in ("slow", "quick", "quick"):
            yield pb.RecommendStreamRequest(shopper=pb.Shopper(user_id=user_id))

    async def run():
        streams = RecommendStreams(ask, draining=asyncio.Event(), at_once=8)
        rows = []
        async for response in streams.answers(requests(), deadline=float("inf")):
            rows.append(response.row)
            if len(rows) == 2:
                gate.set()
        return rows

    assert asyncio.run(run()) == [1, 2, 0]


def test_what_was_read_before_the_server_stops_is_answered():
    async def run():
        draining, asked = asyncio.Event(), 0

        async def ask(ask_):
            nonlocal asked
            asked += 1
            draining.set()
            await asyncio.sleep(0.01)
            raise LookupError("nothing")

        async def endless():
            while True:
                await asyncio.sleep(0)
                yield pb.RecommendStreamRequest()

        streams, rows = RecommendStreams(ask, draining=draining, at_once=8), set()
        try:
            async for response in streams.answers(endless(), deadline=float("inf")):
                rows.add(response.row)
        except UnavailableError as error:
            return asked, rows, str(error)

    asked, rows, message = asyncio.run(run())

    assert "the server stops" in message
    assert rows == set(range(asked)) != set()


def test_a_server_that_stops_cuts_a_stream_short_and_says_so(start, fake):
    server = start(lambda: fake)
    server.loaded.result(SECONDS)
    fake.gate.clear()
    told = []

    def endless():
        while True:
            yield (Shopper(user_id="job"), Wishes())

    def job(client):
        told.extend(client.recommend_many(endless()))

    with RecommenderClient(server.address) as client, ThreadPoolExecutor() as pool:
        running = pool.submit(job, client)
        fake.entered.wait(SECONDS)
        drained = server.drain()
        time.sleep(0.1)
        fake.gate.set()
        error = running.exception(SECONDS)
        drained.result(SECONDS)

    assert error.code() is grpc.StatusCode.UNAVAILABLE
    # gRPC's client may tell of the end before it hands out what came just before it
    assert len(told) <= len(fake.calls) > 0


def test_requests_of_a_job_that_went_away_are_dropped(start, fake):
    server = start(lambda: fake, queue=QueueConfig(stream_requests=1))
    server.loaded.result(SECONDS)
    fake.gate.clear()
    with RecommenderClient(server.address, timeout=SECONDS) as client:
        stub = client._stub.RecommendStream
        request = pb.RecommendStreamRequest(
            shopper=pb.Shopper(user_id="job"), wishes=pb.Wishes(limit=1)
        )
        call = stub(iter([request] * 6), timeout=SECONDS)
        fake.entered.wait(SECONDS)
        wait_for(lambda: waiting(server) == 1)
        call.cancel()
        assert client.is_ready()  # by now the server knows
        fake.gate.set()
        client.recommend(Shopper(user_id="u"))
        client.recommend(Shopper(user_id="v"))

    assert users(fake) == ["job", "u", "v"]


def test_streams_must_be_let_in_at_all():
    with pytest.raises(ValueError, match="stream_requests must be at least 1, got 0"):
        QueueConfig(stream_requests=0)

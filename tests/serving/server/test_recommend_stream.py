"""RecommendStream: many recommendations over one stream, answered after all other calls."""

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


def shows_nothing(request, answer):
    """Logs no answer."""


def users(fake):
    return [request.shopper.user_id for request in fake.requests]


def wait_for(condition):
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def waiting(server):
    """Number of requests in a server's queue."""
    return len(server.server.engine._waiting)


def test_the_answers_of_a_stream_equal_the_engines_answers(start, engine):
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


def test_an_invalid_request_gets_its_error_and_the_others_are_answered(start, engine):
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


def test_an_internal_error_is_logged_and_hidden_from_the_stream(server, fake, caplog):
    fake.error = RuntimeError("secret")

    with RecommenderClient(server.address) as client:
        ((_, row),) = client.recommend_many([(Shopper(), Wishes())])

    assert row == RefusedRow(code=grpc.StatusCode.INTERNAL, message="internal error")
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


def test_single_requests_come_before_all_requests_of_streams(start, fake):
    server = start(lambda: fake, queue=QueueConfig(stream_requests=1))
    server.loaded.result(SECONDS)
    fake.gate.clear()
    with RecommenderClient(server.address, timeout=SECONDS) as client, ThreadPoolExecutor() as pool:
        job = pool.submit(
            list, client.recommend_many((Shopper(user_id="job"), Wishes()) for _ in range(6))
        )
        assert fake.entered.wait(SECONDS)
        wait_for(lambda: waiting(server) == 1)
        others = [pool.submit(client.recommend, Shopper(user_id=f"u{n}")) for n in range(3)]
        wait_for(lambda: waiting(server) == 4)
        fake.gate.set()
        assert len(job.result(SECONDS)) == 6
        assert all(other.result(SECONDS) for other in others)

    assert users(fake)[0] == "job"
    assert sorted(users(fake)[1:4]) == ["u0", "u1", "u2"]
    assert users(fake)[4:] == ["job"] * 5


def test_streams_never_fill_the_queue_of_single_requests(start, fake):
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
        assert fake.entered.wait(SECONDS)
        wait_for(lambda: waiting(server) in (2, 3))  # of 4, the engine has taken 1 or 2
        one = pool.submit(client.recommend, Shopper(user_id="u"))
        wait_for(lambda: waiting(server) in (3, 4))
        fake.gate.set()

        assert one.result(SECONDS).items
        assert all(len(job.result(SECONDS)) == 20 for job in jobs)


def test_all_streams_together_have_at_most_the_given_number_of_requests_in_progress():
    in_progress = most = 0

    async def answer(request):
        nonlocal in_progress, most
        in_progress += 1
        most = max(most, in_progress)
        await asyncio.sleep(0.001)
        in_progress -= 1
        raise LookupError("nothing")

    async def requests():
        for _ in range(25):
            yield pb.RecommendStreamRequest()

    async def run():
        streams = RecommendStreams(answer, shows_nothing, draining=asyncio.Event(), at_once=3)

        async def job():
            answers = streams.answers(requests(), deadline=float("inf"), client="a")
            return [row async for row in answers]

        return await asyncio.gather(*(job() for _ in range(4)))

    jobs = asyncio.run(run())

    assert most == 3
    assert [len(rows) for rows in jobs] == [25] * 4


def test_an_answer_does_not_wait_for_the_answers_to_earlier_requests():
    gate = asyncio.Event()

    async def answer(request):
        if request.shopper.user_id == "slow":
            await gate.wait()
        raise LookupError("nothing")

    async def requests():
        for user_id in ("slow", "quick", "quick"):
            yield pb.RecommendStreamRequest(shopper=pb.Shopper(user_id=user_id))

    async def run():
        streams = RecommendStreams(answer, shows_nothing, draining=asyncio.Event(), at_once=8)
        rows = []
        async for response in streams.answers(requests(), deadline=float("inf"), client="a"):
            rows.append(response.row)
            if len(rows) == 2:
                gate.set()
        return rows

    assert asyncio.run(run()) == [1, 2, 0]


def test_requests_read_before_the_server_stops_are_answered():
    async def run():
        draining, read = asyncio.Event(), 0

        async def answer(request):
            nonlocal read
            read += 1
            draining.set()
            await asyncio.sleep(0.01)
            raise LookupError("nothing")

        async def endless():
            while True:
                await asyncio.sleep(0)
                yield pb.RecommendStreamRequest()

        streams, rows = RecommendStreams(answer, shows_nothing, draining=draining, at_once=8), set()
        try:
            async for response in streams.answers(endless(), deadline=float("inf"), client="a"):
                rows.add(response.row)
        except UnavailableError as error:
            return read, rows, str(error)

    read, rows, message = asyncio.run(run())

    assert "the server is stopping" in message
    assert rows == set(range(read)) != set()


def test_a_stopping_server_ends_a_stream_as_unavailable(start, fake):
    server = start(lambda: fake)
    server.loaded.result(SECONDS)
    fake.gate.clear()
    received = []

    def endless():
        while True:
            yield (Shopper(user_id="job"), Wishes())

    def job(client):
        received.extend(client.recommend_many(endless()))

    with RecommenderClient(server.address) as client, ThreadPoolExecutor() as pool:
        running = pool.submit(job, client)
        assert fake.entered.wait(SECONDS)
        drained = server.drain()
        time.sleep(0.1)
        fake.gate.set()
        error = running.exception(SECONDS)
        drained.result(SECONDS)

    assert error.code() is grpc.StatusCode.UNAVAILABLE
    # gRPC's client may report the end before it hands out the last answers
    assert len(received) <= len(fake.calls) > 0


def test_requests_of_a_cancelled_stream_are_dropped(start, fake):
    server = start(lambda: fake, queue=QueueConfig(stream_requests=1))
    server.loaded.result(SECONDS)
    fake.gate.clear()
    with RecommenderClient(server.address, timeout=SECONDS) as client:
        stub = client._stub.RecommendStream
        request = pb.RecommendStreamRequest(
            shopper=pb.Shopper(user_id="job"), wishes=pb.Wishes(limit=1)
        )
        call = stub(iter([request] * 6), timeout=SECONDS)
        assert fake.entered.wait(SECONDS)
        wait_for(lambda: waiting(server) == 1)
        call.cancel()
        assert client.is_ready()  # by now the server has seen the cancellation
        fake.gate.set()
        client.recommend(Shopper(user_id="u"))
        client.recommend(Shopper(user_id="v"))

    assert users(fake) == ["job", "u", "v"]


def test_a_queue_without_room_for_stream_requests_is_refused():
    with pytest.raises(ValueError, match="stream_requests must be at least 1, got 0"):
        QueueConfig(stream_requests=0)

import asyncio
import gc

import grpc
import pytest
from grpc import aio

from serving.api.request import Request
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.client import RecommenderClient
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb
from shortlist_client.proto.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub

SECONDS = 10
STREAM = "recommender.v1.RecommenderService/RecommendStream"


def test_refused_requests_are_freed_without_a_collection(server, client, fake, monkeypatch):
    def refuse(*_):
        raise InvalidRequestError("never")

    monkeypatch.setattr(fake, "_respond", refuse)
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            with pytest.raises(grpc.RpcError):
                client.recommend(Shopper(history=["a"]), Wishes(request_id="refused"))
        fake.requests.clear()
        server.settle()
        held = [one for one in gc.get_objects() if _is_ours(one)]
    finally:
        gc.enable()

    assert len(held) <= 1  # the engine's thread still has the last one


def _is_ours(one):
    return type(one) is Request and one.wishes.request_id == "refused"


def test_streams_that_their_client_cancels_are_counted_as_cancelled(server, caplog):
    async def job(stub, answers):
        call = stub.RecommendStream()
        for _ in range(6):
            await call.write(pb.RecommendStreamRequest(wishes=pb.Wishes(limit=1)))
        for _ in range(answers):
            await call.read()
        call.cancel()

    async def jobs():
        async with aio.insecure_channel(server.address) as channel:
            stub = RecommenderServiceStub(channel)
            for answers in (0, 1, 1, 2) * 10:
                await job(stub, answers)

    asyncio.run(jobs())
    with RecommenderClient(server.address, timeout=SECONDS) as client:
        client.recommend(Shopper(user_id="u"))
    server.settle()

    assert set(server.server.metrics.methods()[STREAM].calls) <= {"CANCELLED", "OK"}
    assert "detach" not in caplog.text

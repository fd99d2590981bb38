import threading

import grpc
import pytest

from serving.server.interceptors import stream_count
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb
from shortlist_client.proto.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub

SECONDS = 10
STREAMS = 4


@pytest.fixture
def stub(start, fake, monkeypatch):
    monkeypatch.setattr(stream_count, "STREAMS_OF_A_CLIENT", STREAMS)
    running = start(lambda: fake)
    running.loaded.result(SECONDS)
    with grpc.insecure_channel(running.address) as channel:
        yield RecommenderServiceStub(channel)


def test_a_client_has_a_limited_number_of_streams_and_may_begin_another_after_one_ends(stub):
    ends = [threading.Event() for _ in range(STREAMS)]

    def requests(end):
        yield pb.RecommendStreamRequest()
        end.wait(SECONDS)

    streams = [stub.RecommendStream(requests(end)) for end in ends]
    for stream in streams:
        next(stream)  # it has begun

    with pytest.raises(grpc.RpcError) as refused:
        next(stub.RecommendStream(iter([pb.RecommendStreamRequest()])))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert stub.Recommend(pb.RecommendRequest()).answer.items  # it is no stream

    ends[0].set()
    assert list(streams[0]) == []
    assert next(stub.RecommendStream(iter([pb.RecommendStreamRequest()]))).answer.items
    for end in ends:
        end.set()

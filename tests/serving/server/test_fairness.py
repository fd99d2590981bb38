"""What one client can do to another over gRPC: each has its share, however much the other asks."""

import asyncio
import hashlib
import time
from collections import Counter
from contextlib import AsyncExitStack
from types import SimpleNamespace

import grpc
import pytest
import yaml
from grpc import aio

from serving.batching.request_queue import QueueConfig
from serving.server.caller import caller_of
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb

SECONDS = 10
BATCH, IN_FLIGHT, ASKED = 4, 64, 15
RECOMMEND = "/recommender.v1.RecommenderService/Recommend"
STREAM = "/recommender.v1.RecommenderService/RecommendStream"


@pytest.fixture
def guarded(start, fake, tmp_path):
    """A server of two clients; a request takes 10 ms, and four make a batch."""
    clients = tmp_path / "clients.yaml"
    names = ("greedy", "quiet")
    digests = [hashlib.sha256(name.encode()).hexdigest() for name in names]
    entries = [
        {"client": name, "sha256": digest, "roles": ["read"]}
        for name, digest in zip(names, digests, strict=True)
    ]
    clients.write_text(yaml.safe_dump(entries))
    respond = fake._respond

    def slowly(*call):
        time.sleep(0.01)
        return respond(*call)

    fake._respond = slowly
    running = start(lambda: fake, tokens=clients, queue=QueueConfig(batch_items=BATCH))
    running.loaded.result(SECONDS)
    return running


def sent(user):
    """Bytes of a request that carries its caller's name as the user."""
    return pb.RecommendRequest(shopper=pb.Shopper(user_id=user)).SerializeToString()


def answered(fake, user):
    return sum(request.shopper.user_id == user for request in fake.requests)


async def ask(channel, name):
    """Status of one request."""
    metadata = (("authorization", f"Bearer {name}"),)
    try:
        await channel.unary_unary(RECOMMEND)(sent(name), metadata=metadata, timeout=SECONDS)
    except grpc.RpcError as error:
        return error.code().name
    return "OK"


async def greedy(address, work, *, connections):
    """Run `work` while a client keeps `IN_FLIGHT` requests going, over some connections."""
    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(
                aio.insecure_channel(address, options=[("apart", n)])  # or they share one
            )
            for n in range(connections)
        ]

        async def endless(channel):
            while True:
                if await ask(channel, "greedy") != "OK":
                    await asyncio.sleep(0.02)

        tasks = [asyncio.create_task(endless(channels[n % connections])) for n in range(IN_FLIGHT)]
        await asyncio.sleep(0.2)
        try:
            return await work()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("connections", [1, 8])
def test_a_client_with_64_requests_in_flight_keeps_nobody_else_out(guarded, connections):
    async def main():
        async with aio.insecure_channel(guarded.address) as channel:

            async def quiet():
                return Counter([await ask(channel, "quiet") for _ in range(ASKED)])

            return await greedy(guarded.address, quiet, connections=connections)

    assert asyncio.run(main()) == {"OK": ASKED}


def test_two_busy_clients_get_the_same_share_however_many_connections_one_has(guarded, fake):
    async def main():
        async with aio.insecure_channel(guarded.address) as channel:

            async def busy():
                start = Counter({name: answered(fake, name) for name in ("greedy", "quiet")})
                end = time.monotonic() + 1

                async def ask_on():
                    while time.monotonic() < end:
                        await ask(channel, "quiet")

                await asyncio.gather(*(ask_on() for _ in range(16)))
                now = Counter({name: answered(fake, name) for name in ("greedy", "quiet")})
                return now - start

            return await greedy(guarded.address, busy, connections=8)

    shares = asyncio.run(main())

    assert shares["quiet"] / shares.total() >= 0.3  # in order of arrival it would be 16 / 80


def test_one_clients_streams_leave_half_of_the_turns_to_another(guarded, fake):
    rows = 60

    async def job(channel, name, count):
        async def requests():
            for _ in range(count):
                wishes, shopper = pb.Wishes(limit=1), pb.Shopper(user_id=name)
                yield pb.RecommendStreamRequest(shopper=shopper, wishes=wishes).SerializeToString()

        metadata = (("authorization", f"Bearer {name}"),)
        call = channel.stream_stream(STREAM)(requests(), metadata=metadata, timeout=SECONDS)
        return [answer async for answer in call]

    async def main():
        async with aio.insecure_channel(guarded.address) as channel:
            others = [asyncio.create_task(job(channel, "greedy", 1_000)) for _ in range(8)]
            await asyncio.sleep(0.2)
            before = answered(fake, "greedy")
            await job(channel, "quiet", rows)
            between = answered(fake, "greedy") - before
            for other in others:
                other.cancel()
            await asyncio.gather(*others, return_exceptions=True)
        return between

    assert asyncio.run(main()) <= 2 * rows


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("ipv4:10.0.0.7:49152", "ipv4:10.0.0.7"),
        ("ipv6:[2001:db8::7]:49152", "ipv6:[2001:db8::7]"),
        ("unix:/run/shortlist.sock", "unix:/run/shortlist.sock"),
        ("unix:", "unix:"),
    ],
)
def test_without_tokens_a_host_is_one_client_however_many_connections_it_has(peer, host):
    assert caller_of(SimpleNamespace(peer=lambda: peer)) == host

"""Long requests are answered in pieces, with other requests in between."""

import asyncio
import threading
import time
from dataclasses import replace

import pytest

from serving.api.request import Method, Request
from serving.batching.engine_thread import EngineThread
from serving.batching.job import ASIDE
from serving.batching.request_queue import QueueConfig
from shortlist_client.api.request import Shopper, Wishes

SECONDS = 10
PIECES = 3


def quick(user_id, **options):
    return Request(method=Method.RECOMMEND, shopper=Shopper(user_id=user_id), **options)


def long(user_id, **options):
    return replace(quick(user_id, **options), wishes=Wishes(explain=True))


class InPieces:
    """Engine that records its pieces; each piece of a long request waits for a permit."""

    age_seconds = None

    def __init__(self, answer, versions=None):
        self.answer, self.versions = answer, versions or {"release": "first"}
        self.pieces, self.broken = [], ""
        self.permits, self.entered = threading.Semaphore(0), threading.Semaphore(0)

    @property
    def current(self):
        return self

    def cost(self, request):
        return 1

    def answers(self, requests):
        for place, request in enumerate(requests):
            for number in range(PIECES if request.is_long else 0):
                self.entered.release()
                assert self.permits.acquire(timeout=SECONDS)
                self.pieces.append(f"{request.shopper.user_id}{number}")
                if self.pieces[-1] == self.broken:
                    raise RuntimeError("broken")
                yield None
            if not request.is_long:
                self.pieces.append(request.shopper.user_id)
            yield place, self.answer

    async def in_piece(self):
        """Wait until a piece has begun, which a permit ends."""
        assert await asyncio.to_thread(self.entered.acquire, timeout=SECONDS)

    def permit(self, pieces=100):
        self.permits.release(pieces)


@pytest.fixture
def engine(fake):
    return InPieces(fake.answer)


def run(engine, work, **config):
    async def main():
        with EngineThread(lambda: engine, QueueConfig(**config)) as thread:
            await thread.ready()
            try:
                return await asyncio.wait_for(work(thread), SECONDS)
            finally:
                engine.permit(1_000)

    return asyncio.run(main())


async def asked(thread, *requests, **options):
    """Tasks of requests that wait in the queue."""
    tasks = [asyncio.create_task(thread.answer(one, **options)) for one in requests]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


def test_a_quick_request_is_answered_between_the_pieces_of_a_long_one(engine):
    async def work(thread):
        (explained,) = await asked(thread, long("l"))
        await engine.in_piece()
        (plain,) = await asked(thread, quick("q"))
        engine.permit(1)
        await plain
        assert not explained.done()
        engine.permit()
        await explained

    run(engine, work)

    assert engine.pieces == ["l0", "q", "l1", "l2"]


def test_quick_requests_form_a_batch_whatever_long_ones_wait_between_them(engine):
    batches = []
    answers = engine.answers
    engine.answers = lambda requests: (batches.append(len(requests)), answers(requests))[1]

    async def work(thread):
        tasks = await asked(thread, long("l"))
        await engine.in_piece()
        tasks += await asked(thread, quick("a"), long("m"), quick("b"), quick("c"))
        engine.permit()
        await asyncio.gather(*tasks)

    run(engine, work)

    assert batches == [1, 3, 1]


def test_a_few_long_requests_take_turns_and_the_others_wait(engine):
    names = "abcdefg"[: ASIDE + 1]

    async def work(thread):
        tasks = await asked(thread, long(names[0]))
        await engine.in_piece()
        tasks += await asked(thread, *map(long, names[1:]))
        assert thread.waiting == ASIDE
        engine.permit(ASIDE)
        for _ in range(ASIDE):
            await engine.in_piece()
        assert thread.waiting == 1
        engine.permit()
        await asyncio.gather(*tasks)

    run(engine, work)

    assert engine.pieces[:ASIDE] == [f"{name}0" for name in names[:ASIDE]]
    assert engine.pieces[ASIDE] == "a1"
    assert engine.pieces.index(f"{names[-1]}0") > engine.pieces.index("a2")
    assert len(engine.pieces) == PIECES * len(names)


def test_clients_take_turns_by_pieces(engine):
    async def work(thread):
        tasks = await asked(thread, long("a", client="a"))
        await engine.in_piece()
        tasks += await asked(thread, long("b", client="a"), long("c", client="c"))
        engine.permit()
        await asyncio.gather(*tasks)

    run(engine, work)

    assert engine.pieces.index("c2") < engine.pieces.index("b2")


def test_a_swap_of_the_engine_waits_for_one_piece_and_the_job_keeps_its_engine(engine):
    other = InPieces(engine.answer, {"release": "second"})

    async def work(thread):
        (explained,) = await asked(thread, long("l"))
        await engine.in_piece()
        swap = asyncio.create_task(asyncio.to_thread(thread.replace, other))
        await asyncio.sleep(0.05)
        engine.permit(1)
        await swap
        (plain,) = await asked(thread, quick("q"))
        await engine.in_piece()
        engine.permit()
        return [versions["release"] for _, versions in await asyncio.gather(explained, plain)]

    assert run(engine, work) == ["first", "second"]
    assert engine.pieces == ["l0", "l1", "l2"]


def test_a_cancelled_long_request_costs_no_more_pieces(engine):
    async def work(thread):
        (explained,) = await asked(thread, long("l"))
        await engine.in_piece()
        explained.cancel()
        await asyncio.sleep(0)
        engine.permit()
        await thread.answer(quick("q"))
        await thread.answer(quick("r"))

    run(engine, work)

    assert engine.pieces == ["l0", "q", "r"]


def test_a_deadline_that_passes_between_pieces_ends_the_work(engine):
    async def work(thread):
        (explained,) = await asked(thread, long("l", deadline=time.monotonic() + 0.2))
        await engine.in_piece()
        await asyncio.sleep(0.3)
        engine.permit()
        with pytest.raises(TimeoutError, match="before the answer was ready"):
            await explained
        await thread.answer(quick("q"))

    run(engine, work)

    assert engine.pieces == ["l0", "q"]


def test_a_piece_that_breaks_fails_its_request_alone(engine):
    engine.broken = "l1"
    engine.permit()

    async def work(thread):
        tasks = await asked(thread, long("l"), long("m"), quick("q"))
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = run(engine, work)

    assert [isinstance(one, RuntimeError) for one in found] == [True, False, False]


def test_a_long_request_of_a_stream_goes_on_after_all_others(engine):
    async def work(thread):
        tasks = await asked(thread, long("s"), patient=True)
        await engine.in_piece()
        tasks += await asked(thread, long("t"), patient=True)
        tasks += await asked(thread, long("l"), quick("q"))
        engine.permit()
        await asyncio.gather(*tasks)

    run(engine, work)

    assert engine.pieces == ["s0", "q", "l0", "l1", "l2", "s1", "s2", "t0", "t1", "t2"]


def test_explanations_and_many_texts_are_long():
    texts = {count: Request(method=Method.EMBED_TEXTS, texts=["a"] * count) for count in (8, 9)}

    assert [one.is_long for one in texts.values()] == [False, True]
    for wishes in (Wishes(explain=True), Wishes(explain_texts=True)):
        assert replace(quick("u"), wishes=wishes).is_long
    assert not replace(quick("u"), wishes=Wishes(limit=200)).is_long

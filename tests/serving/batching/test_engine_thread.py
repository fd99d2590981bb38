import asyncio
import threading
import time

import pytest

from serving.api.errors import QueueFullError, UnavailableError
from serving.api.request import Method, Request
from serving.batching.engine_thread import EngineThread
from serving.batching.request_queue import QueueConfig
from shortlist_client.api.request import Shopper

SECONDS = 10


def ask(user_id="u", **options):
    return Request(method=Method.RECOMMEND, shopper=Shopper(user_id=user_id), **options)


class Batches:
    """Engine that records the users of each batch; each batch waits for the gate."""

    def __init__(self, fake):
        self.fake, self.batches, self.versions = fake, [], fake.versions

    @property
    def current(self):
        return self

    def cost(self, ask):
        return 1

    def answers(self, asks):
        self.batches.append([ask.shopper.user_id for ask in asks])
        return self.fake.answers(asks)


async def held(fake):
    """Wait until the engine works on a batch, which the gate holds."""
    assert await asyncio.to_thread(fake.entered.wait, SECONDS)


async def arrived():
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
def engine(fake):
    return Batches(fake)


def run(engine, work, **config):
    async def main():
        with EngineThread(lambda: engine, QueueConfig(**config)) as thread:
            await thread.ready()
            try:
                return await asyncio.wait_for(work(thread), SECONDS)
            finally:
                engine.fake.gate.set()

    return asyncio.run(main())


def together(fake, count):
    """Send one request, and `count` more while the engine answers it."""

    async def work(thread):
        fake.gate.clear()
        first = asyncio.create_task(thread.answer(ask("first")))
        await held(fake)
        others = [asyncio.create_task(thread.answer(ask(str(n)))) for n in range(count)]
        await arrived()
        fake.gate.set()
        return await asyncio.gather(first, *others)

    return work


def test_waiting_requests_form_one_batch_in_order_of_arrival(engine, fake):
    answers = run(engine, together(fake, 5))

    assert len(answers) == 6
    assert engine.batches == [["first"], ["0", "1", "2", "3", "4"]]


def test_a_batch_costs_no_more_than_its_budget(engine, fake):
    run(engine, together(fake, 5), batch_items=2)

    assert engine.batches == [["first"], ["0", "1"], ["2", "3"], ["4"]]


def test_a_request_above_the_budget_is_a_batch_of_its_own(engine, fake):
    engine.cost = lambda one: 100

    run(engine, together(fake, 2), batch_items=2)

    assert engine.batches == [["first"], ["0"], ["1"]]


def test_a_lone_request_does_not_wait_for_others(engine):
    async def work(thread):
        started = time.monotonic()
        for _ in range(3):
            await thread.answer(ask())
        return time.monotonic() - started

    assert run(engine, work, delay_ms=2_000) < 2


def test_after_a_batch_the_engine_waits_for_as_many_requests(engine, fake):
    async def work(thread):
        await together(fake, 3)(thread)
        one = asyncio.create_task(thread.answer(ask("a")))
        await asyncio.sleep(0.05)
        await asyncio.gather(one, *(thread.answer(ask(name)) for name in "bc"))

    run(engine, work, delay_ms=5_000)

    assert engine.batches[-1] == ["a", "b", "c"]


def test_a_full_queue_refuses_at_once_with_a_time_to_retry(engine, fake):
    async def work(thread):
        fake.gate.clear()
        first = asyncio.create_task(thread.answer(ask("first")))
        await held(fake)
        waiting = [asyncio.create_task(thread.answer(ask(str(n)))) for n in range(2)]
        await arrived()
        with pytest.raises(QueueFullError, match="2 requests wait already") as caught:
            await thread.answer(ask("late"))
        waiting[0].cancel()
        await arrived()
        waiting[0] = asyncio.create_task(thread.answer(ask("instead")))
        await arrived()
        fake.gate.set()
        await asyncio.gather(first, *waiting)
        return caught.value.retry_seconds

    assert run(engine, work, requests=2) >= 0.01
    assert engine.batches == [["first"], ["1", "instead"]]


def test_a_request_past_its_deadline_is_dropped_with_a_timeout(engine, fake):
    async def work(thread):
        fake.gate.clear()
        first = asyncio.create_task(thread.answer(ask("first")))
        await held(fake)
        late = asyncio.create_task(thread.answer(ask("late", deadline=time.monotonic() + 0.05)))
        await asyncio.sleep(0.1)
        fake.gate.set()
        await first
        with pytest.raises(TimeoutError, match="before the engine was free"):
            await late

    run(engine, work)

    assert engine.batches == [["first"]]


def test_a_request_that_breaks_the_engine_fails_alone(engine, fake):
    whole = fake.answers

    def answers(asks):
        if any(one.shopper.user_id == "1" for one in asks):
            raise RuntimeError("broken")
        return whole(asks)

    fake.answers = answers

    async def work(thread):
        fake.gate.clear()
        tasks = [asyncio.create_task(thread.answer(ask("first")))]
        await held(fake)
        tasks += [asyncio.create_task(thread.answer(ask(str(n)))) for n in range(3)]
        await arrived()
        fake.gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = run(engine, work)

    assert [isinstance(one, RuntimeError) for one in found] == [False, False, True, False]


def test_a_replaced_engine_answers_from_the_next_batch_on(engine, fake):
    other = Batches(fake)
    other.versions = {"release": "next"}

    async def work(thread):
        fake.gate.clear()
        first = asyncio.create_task(thread.answer(ask("first")))
        await held(fake)
        second = asyncio.create_task(thread.answer(ask("second")))
        await arrived()
        replacing = asyncio.create_task(asyncio.to_thread(thread.replace, other))
        await asyncio.sleep(0.05)
        fake.gate.set()
        answers = await asyncio.gather(first, second, replacing)
        assert thread.engine is other
        return [versions for _, versions in answers[:2]]

    assert run(engine, work) == [fake.versions, {"release": "next"}]


def test_a_failed_load_fails_the_waiting_requests():
    loading = threading.Event()

    def load():
        loading.wait(SECONDS)
        raise LookupError("no release")

    async def main():
        with EngineThread(load, QueueConfig()) as thread:
            early = asyncio.create_task(thread.answer(ask()))
            await arrived()
            loading.set()
            with pytest.raises(LookupError, match="no release"):
                await thread.ready()
            with pytest.raises(RuntimeError, match="could not be loaded"):
                await early
            with pytest.raises(UnavailableError, match="stopping"):
                await thread.answer(ask())

    asyncio.run(main())


@pytest.mark.parametrize(
    ("option", "value"), [("requests", 0), ("batch_items", 0), ("delay_ms", -1)]
)
def test_an_invalid_queue_configuration_is_refused(option, value):
    with pytest.raises(ValueError, match=f"{option} must be at least"):
        QueueConfig(**{option: value})

import asyncio
import threading

import pytest

from serving.batching.micro_batcher import MicroBatcher


class Work:
    """Doubles rows once `gate` is open; records the batches."""

    def __init__(self):
        self.batches, self.threads = [], set()
        self.gate, self.error = threading.Event(), None
        self.gate.set()

    def __call__(self, rows):
        assert self.gate.wait(10)
        self.batches.append(list(rows))
        self.threads.add(threading.current_thread().name)
        if self.error is not None:
            raise self.error
        return [2 * row for row in rows]


@pytest.fixture
def work():
    return Work()


def run(work, scenario, *, most=100):
    async def main():
        gathering = MicroBatcher(work, most=most, name="doubling")
        try:
            return await scenario(gathering)
        finally:
            work.gate.set()
            await gathering.close()

    return asyncio.run(main())


async def begun(gathering, *calls):
    """Tasks of some calls: the first is being processed, the others wait."""
    tasks = []
    for rows in calls:
        tasks.append(asyncio.create_task(gathering(rows, client="a")))
        await asyncio.sleep(0.05)
    return tasks


def test_waiting_calls_form_one_batch_and_each_gets_its_own_results(work):
    async def scenario(gathering):
        work.gate.clear()
        tasks = await begun(gathering, [1], [2, 3], [], [4])
        work.gate.set()
        return await asyncio.gather(*tasks)

    assert run(work, scenario) == [[2], [4, 6], [], [8]]
    assert work.batches == [[1], [2, 3, 4]]
    assert work.threads == {"doubling_0"}


def test_a_batch_exceeds_its_limit_only_for_a_single_large_call(work):
    async def scenario(gathering):
        work.gate.clear()
        tasks = await begun(gathering, [0], [1, 2], [3], [4], [5, 6, 7, 8], [9])
        work.gate.set()
        await asyncio.gather(*tasks)

    run(work, scenario, most=3)
    assert work.batches == [[0], [1, 2, 3], [4], [5, 6, 7, 8], [9]]


def test_a_cancelled_call_is_left_out_of_the_batch(work):
    async def scenario(gathering):
        work.gate.clear()
        tasks = await begun(gathering, [1], [2], [3])
        tasks[1].cancel()
        await asyncio.sleep(0.05)
        work.gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, second, third = run(work, scenario)
    assert (first, third) == ([2], [6])
    assert isinstance(second, asyncio.CancelledError)
    assert work.batches == [[1], [3]]


def test_an_error_reaches_only_the_callers_in_its_batch(work):
    async def scenario(gathering):
        work.gate.clear()
        tasks = await begun(gathering, [1], [2], [3])
        work.error = LookupError("full")
        work.gate.set()
        failed = await asyncio.gather(*tasks, return_exceptions=True)
        work.error = None
        return failed, await gathering([4], client="a")

    failed, later = run(work, scenario)
    assert [str(error) for error in failed] == ["full"] * 3
    assert later == [8]


def test_a_client_with_many_calls_does_not_delay_the_call_of_another(work):
    async def scenario(gathering):
        work.gate.clear()
        greedy = await begun(gathering, [0])
        greedy += [asyncio.create_task(gathering([n], client="a")) for n in range(1, 20)]
        await asyncio.sleep(0.05)
        other = asyncio.create_task(gathering([100], client="b"))
        await asyncio.sleep(0.05)
        work.gate.set()
        return await asyncio.gather(*greedy, other)

    assert run(work, scenario, most=4)[-1] == [200]
    assert [len(batch) for batch in work.batches] == [1, 4, 4, 4, 4, 4]
    assert 100 in work.batches[1]

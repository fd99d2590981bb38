import asyncio

import pytest

from serving.batching.fair_slots import FairSlots


def test_waiting_clients_take_turns_and_slots_are_never_exceeded():
    async def main():
        slots, order, busy = FairSlots(2), [], 0

        async def work(client):
            nonlocal busy
            async with slots.one_for(client):
                busy += 1
                assert busy <= 2
                order.append(client)
                await asyncio.sleep(0.001)
                busy -= 1

        await asyncio.gather(*(work(client) for client in "aaaaaaaabb"))
        return "".join(order)

    assert asyncio.run(main()) == "aa" + "abab" + "aaaa"


@pytest.mark.parametrize("late", [False, True])
def test_a_cancelled_caller_passes_its_turn_on(late):
    async def main():
        slots = FairSlots(1)
        await slots.acquire("a")
        gone, waiting = (asyncio.create_task(slots.acquire(client)) for client in "ab")
        await asyncio.sleep(0)
        if late:
            slots.release()  # `gone` has the slot, and is cancelled before it runs
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        if not late:
            slots.release()
        await asyncio.wait_for(waiting, 1)
        slots.release()
        await asyncio.wait_for(slots.acquire("c"), 1)

    asyncio.run(main())

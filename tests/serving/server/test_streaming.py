import asyncio
import gc
import logging

import pytest

from serving.server.servicers.streaming import AT_ONCE, answered


def test_a_request_that_cannot_be_read_after_one_that_failed_leaves_no_forgotten_error(caplog):
    """Both errors come together; the caller gets one, and the other is not logged as lost."""

    async def requests():
        for number in range(AT_ONCE):
            yield number
        raise LookupError("the next is no message")

    async def work(request):
        await asyncio.sleep(0.01)  # meanwhile the others are read
        raise ValueError("the first breaks a rule")

    async def main():
        with pytest.raises((LookupError, ValueError)):
            async for _ in answered(requests(), work, draining=asyncio.Event()):
                pass

    with caplog.at_level(logging.ERROR, "asyncio"):
        asyncio.run(main())
        gc.collect()

    assert not caplog.records

"""Rows of many callers, worked on together in one thread."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Row = TypeVar("Row")
Result = TypeVar("Result")
Call = tuple[Sequence[Row], asyncio.Future[Sequence[Result]]]
"""Rows, and who waits for what becomes of them"""


class MicroBatcher(Generic[Row, Result]):
    """While some rows are worked on others gather, which are then worked on at once.

    So many callers share one transaction or one pass through a model, and a single one never waits
    for company. Rows keep the order of the calls. Knows nothing of what is done with them.
    """

    def __init__(
        self, work: Callable[[Sequence[Row]], Sequence[Result]], *, most: int, name: str
    ) -> None:
        """Take the work.

        Args:
            work: Done in the thread; what comes out is as long as what goes in. What it raises
                reaches all whose rows were among these.
            most: Rows at a time, unless a single call has more.
            name: Of the thread.
        """
        self._work, self._most = work, most
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._waiting: deque[Call[Row, Result]] = deque()
        self._working: asyncio.Task[None] | None = None

    async def __call__(self, rows: Sequence[Row]) -> Sequence[Result]:
        """Have some rows worked on, all at the same time; cancelled before that, they never are.

        Raises:
            Exception: whatever the work raised.
        """
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Sequence[Result]] = loop.create_future()
        self._waiting.append((rows, result))
        if self._working is None:
            self._working = loop.create_task(self._until_nobody_waits())
        return await result

    async def close(self) -> None:
        """Wait for what is in work, and drop the rest."""
        self._waiting.clear()
        await asyncio.to_thread(self._executor.shutdown, wait=True)

    async def _until_nobody_waits(self) -> None:
        loop = asyncio.get_running_loop()
        while together := self._gathered():
            rows = [row for mine, _ in together for row in mine]
            try:
                results = await loop.run_in_executor(self._executor, self._work, rows)
            except Exception as error:
                _tell(together, error)
            else:
                _hand_out(together, results)
        self._working = None

    def _gathered(self) -> list[Call[Row, Result]]:
        together: list[Call[Row, Result]] = []
        size = 0
        while self._waiting:
            rows, result = self._waiting[0]
            if together and size + len(rows) > self._most:
                break
            self._waiting.popleft()
            if not result.done():  # whoever waited for it is still there
                together.append((rows, result))
                size += len(rows)
        return together


def _hand_out(together: Sequence[Call[Row, Result]], results: Sequence[Result]) -> None:
    start = 0
    for rows, result in together:
        if not result.done():
            result.set_result(results[start : start + len(rows)])
        start += len(rows)


def _tell(together: Sequence[Call[Row, Result]], error: Exception) -> None:
    for _, result in together:
        if not result.done():
            result.set_exception(error)

"""Gathers rows of many callers into batches for one thread."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from serving.batching.fair_queue import FairQueue

Row = TypeVar("Row")
Result = TypeVar("Result")
Call = tuple[Sequence[Row], asyncio.Future[Sequence[Result]]]
"""Rows of one call, and the future of their results"""


class MicroBatcher(Generic[Row, Result]):
    """Gathers the rows that arrive during one batch and processes them as the next batch.

    Many callers thus share one transaction or one pass through a model, and a lone caller never
    waits for others. Clients take turns by rows; a client's rows keep the order of its calls. Knows
    nothing about the work.
    """

    def __init__(
        self, work: Callable[[Sequence[Row]], Sequence[Result]], *, most: int, name: str
    ) -> None:
        """Prepare the thread.

        Args:
            work: Function that runs in the thread; returns one result per row. All callers in the
                batch get an exception that it raises.
            most: Rows of a batch, at most, unless a single call has more.
            name: Name of the thread.
        """
        self._work, self._most = work, most
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._waiting: FairQueue[Call[Row, Result]] = FairQueue()
        self._working: asyncio.Task[None] | None = None

    async def __call__(self, rows: Sequence[Row], *, client: str) -> Sequence[Result]:
        """Process some rows in one batch and return their results.

        A call that is cancelled before its batch begins costs no work.

        Args:
            rows: Rows to process.
            client: Client whose turn the call takes.

        Raises:
            Exception: the work failed.
        """
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Sequence[Result]] = loop.create_future()
        self._waiting.add(client, (rows, result))
        if self._working is None:
            self._working = loop.create_task(self._work_until_empty())
        return await result

    async def close(self) -> None:
        """Wait for the running batch, and drop all waiting calls."""
        self._waiting.clear()
        await asyncio.to_thread(self._executor.shutdown, wait=True)

    async def _work_until_empty(self) -> None:
        loop = asyncio.get_running_loop()
        while batch := self._next_batch():
            rows = [row for call_rows, _ in batch for row in call_rows]
            try:
                results = await loop.run_in_executor(self._executor, self._work, rows)
            except Exception as error:
                _fail(batch, error)
            else:
                _deliver(batch, results)
        self._working = None

    def _next_batch(self) -> list[Call[Row, Result]]:
        batch: list[Call[Row, Result]] = []
        size = 0
        while self._waiting:
            rows, result = self._waiting.next()
            if result.done():  # the caller has cancelled
                self._waiting.take(0)
                continue
            if batch and size + len(rows) > self._most:
                break
            batch.append(self._waiting.take(max(len(rows), 1)))
            size += len(rows)
        return batch


def _deliver(batch: Sequence[Call[Row, Result]], results: Sequence[Result]) -> None:
    start = 0
    for rows, result in batch:
        if not result.done():
            result.set_result(results[start : start + len(rows)])
        start += len(rows)


def _fail(batch: Sequence[Call[Row, Result]], error: Exception) -> None:
    for _, result in batch:
        if not result.done():
            result.set_exception(error)

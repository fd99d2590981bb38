"""What one client can do to another in the queue."""

import asyncio

import pytest

from serving.api.errors import QueueFullError
from serving.api.request import Method, Request
from serving.batching.request_queue import QueueConfig, QueuedRequest, RequestQueue


class Waiting:
    """A future that keeps what a request was told at once."""

    def __init__(self):
        self.told = None

    def done(self):
        return self.told is not None

    def get_loop(self):
        return self

    def call_soon_threadsafe(self, resolve, result):
        self.told = result


def one(client, **options):
    request = Request(method=Method.RECOMMEND, client=client)
    return QueuedRequest(request=request, future=Waiting(), **options)


def filled(*clients, **config):
    queue = RequestQueue(QueueConfig(**config))
    waiting = [one(client) for client in clients]
    for request in waiting:
        queue.add(request)
    return queue, waiting


def clients_of(batch):
    return "".join(request.request.client for request in batch)


def test_a_newcomer_is_in_the_next_batch_however_many_requests_another_has():
    queue, _ = filled(*"a" * 31, "b", batch_items=4)

    assert clients_of(queue.take(lambda _: 1)) == "abaa"


def test_a_batch_is_as_large_with_many_clients_as_with_one():
    for clients in ("a" * 32, "ab" * 16, "abcdefgh" * 4):
        queue, _ = filled(*clients, batch_items=12)
        sizes = [len(queue.take(lambda _: 1)) for _ in range(3)]
        assert sizes == [12, 12, 8]


def test_a_full_queue_refuses_the_newest_request_of_the_client_that_has_most():
    queue, waiting = filled(*"aaab", requests=4)

    queue.add(one("b"))

    assert isinstance(waiting[2].future.told, QueueFullError)
    assert waiting[2].future.told.retry_seconds >= 0.01
    assert clients_of(queue.take(lambda _: 1)) == "abab"


def test_a_full_queue_refuses_the_newcomer_where_no_other_client_has_more():
    queue, waiting = filled(*"aabb", requests=4)

    for client in "ab":
        with pytest.raises(QueueFullError, match="4 requests wait already"):
            queue.add(one(client))
    assert all(request.future.told is None for request in waiting)


def test_requests_of_one_client_never_keep_the_others_out():
    queue, _ = filled(requests=8)
    for _ in range(100):
        try:
            queue.add(one("a"))
        except QueueFullError:
            continue
    for client in "bcdefgh":
        queue.add(one(client))

    assert clients_of(queue.take(lambda _: 1)) == "abcdefgh"


def test_a_client_may_have_a_bound_of_its_own():
    queue, waiting = filled(*"aab", requests=8, client_requests=2)

    with pytest.raises(QueueFullError):
        queue.add(one("a"))
    queue.add(one("b"))

    assert len(queue) == 4
    assert all(request.future.told is None for request in waiting)
    with pytest.raises(ValueError, match="client_requests must be at least 1, got 0"):
        QueueConfig(client_requests=0)


def test_patient_requests_of_several_clients_take_turns():
    queue = RequestQueue(QueueConfig(stream_requests=4))
    for client in "aaaabb":
        queue.add(one(client, patient=True))

    assert clients_of(queue.take_patient(lambda _: 1)) == "abab"


def test_a_cancelled_request_costs_its_client_no_turn():
    queue, waiting = filled(*"aabb", batch_items=1)
    waiting[0].future.told = asyncio.CancelledError()

    assert [clients_of(queue.take(lambda _: 1)) for _ in range(3)] == ["a", "b", "b"]

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from serving.batching.fair_queue import FairQueue

WORK = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 50)), min_size=1, max_size=60)


def queue_of(*clients):
    """A queue with items named by client and number: a0, a1, b0 …"""
    queue, numbers = FairQueue(), Counter()
    for client in clients:
        queue.add(client, f"{client}{numbers[client]}")
        numbers[client] += 1
    return queue


def taken(queue, cost=lambda item: 1):
    order = []
    while queue:
        order.append(queue.take(cost(queue.next())))
    return order


def test_the_items_of_one_client_keep_their_order():
    assert taken(queue_of(*"aaaa")) == ["a0", "a1", "a2", "a3"]


def test_clients_take_turns_however_many_items_each_has():
    assert taken(queue_of(*"aaaaabbc")) == ["a0", "b0", "c0", "a1", "b1", "a2", "a3", "a4"]


def test_turns_are_shared_by_cost():
    order = taken(queue_of(*"a" * 3, *"b" * 30), lambda item: 10 if item[0] == "a" else 1)

    assert "".join(item[0] for item in order) == "ab" + "b" * 9 + "ab" + "b" * 9 + "ab" + "b" * 9


@settings(max_examples=200, deadline=None)
@given(WORK)
def test_while_two_clients_wait_their_costs_differ_by_less_than_two_items(work):
    queue, waiting, served = FairQueue(), Counter(), Counter()
    for client, cost in work:
        queue.add(client, (client, cost))
        waiting[client] += 1
    while len(waiting) == len({client for client, _ in work}):  # until one has nothing left
        client, cost = queue.take(queue.next()[1])
        served[client] += cost
        waiting[client] -= 1
        waiting += Counter()  # drops zeros
        if len(waiting) == len({client for client, _ in work}):
            shares = [served[client] for client in waiting]
            assert max(shares) - min(shares) <= 50


def test_a_newcomer_is_next_but_has_not_saved_up_turns():
    queue = queue_of(*"a" * 10)
    for _ in range(6):
        queue.take(1)
    for number in range(3):
        queue.add("b", f"b{number}")

    assert taken(queue) == ["b0", "a6", "b1", "a7", "b2", "a8", "a9"]


def test_a_client_that_asks_for_one_large_item_at_a_time_gets_no_more_than_its_share():
    queue, order = queue_of(*"b" * 20), []
    queue.add("a", "a")
    for _ in range(21):
        item = queue.take(10 if queue.next() == "a" else 1)
        order.append(item[0])
        if item == "a":
            queue.add("a", "a")

    assert "".join(order) == "ba" + "b" * 10 + "a" + "b" * 8


def test_the_newest_item_of_the_longest_client_can_be_removed():
    queue = queue_of(*"abbb")

    assert max(queue.clients, key=queue.of) == "b"
    assert queue.take_newest("b") == "b2"
    assert len(queue) == 3
    assert taken(queue) == ["a0", "b0", "b1"]


def test_unwanted_items_are_removed_from_every_client():
    queue = queue_of(*"aabbc")

    queue.retain(lambda item: item[1] == "1")

    assert (len(queue), queue.of("a"), queue.of("c")) == (2, 1, 0)
    assert taken(queue) == ["a1", "b1"]


def test_clients_that_came_once_are_forgotten():
    queue = FairQueue()
    for number in range(10_000):
        queue.add(str(number), number)
        if number % 2:
            queue.take(1), queue.take(1)

    assert len(queue) == 0
    assert not queue._clocks
    assert not queue._waiting

"""Server processes over one log of item changes, and clients that change items of them."""

import math
import random
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass

import grpc

from shortlist_client.api.item import Item
from shortlist_client.client import RecommenderClient
from tests.serving.live.forked_server import ForkedServer


@contextmanager
def replicas(root, address, cwd, count=2):
    """Running replicas."""
    made = [ForkedServer(root, cwd, items=address) for _ in range(count)]
    try:
        for one in made:
            one.start()
        yield made
    finally:
        for one in made:
            one.close()


@dataclass
class Operation:
    """One change of one item; `title` is None for a deletion."""

    item_id: str
    title: str | None
    begun: float
    ended: float = math.inf
    """When it was acknowledged; infinite if it was not."""


class Client(threading.Thread):
    """Changes random items at random replicas until it is stopped; remembers every operation."""

    def __init__(self, number, replicas, ids):
        super().__init__()
        self._number, self._replicas, self._ids = number, replicas, ids
        self._chosen, self._ending = random.Random(number), threading.Event()
        self.operations = []

    def run(self):
        count = 0
        while not self._ending.is_set():
            target = self._chosen.choice(self._replicas).target
            if target is None:
                time.sleep(0.02)
                continue
            count += 1
            with RecommenderClient(target, timeout=3) as client:
                self._change(client, count)

    def _change(self, client, count):
        names = self._chosen.sample(self._ids, 2)
        is_upsert = self._chosen.random() < 0.7
        titles = [f"red shirt {self._number} {count}" if is_upsert else None for _ in names]
        made = [Operation(*one, time.monotonic()) for one in zip(names, titles, strict=True)]
        self.operations += made
        try:
            if is_upsert:
                items = [Item(item_id=one.item_id, title=one.title) for one in made]
                assert client.catalog.upsert(items).upserted == len(made)
                done = made
            else:
                unknown = client.catalog.delete(names).unknown_item_ids
                done = [one for one in made if one.item_id not in unknown]
        except grpc.RpcError:
            return
        for one in done:
            one.ended = time.monotonic()

    def stop(self):
        self._ending.set()
        self.join()


def titles(target, item_ids):
    """Titles of the known items by id, as a replica has them."""
    with RecommenderClient(target, timeout=20) as client:
        return {name: known.item.title for name, known in client.catalog.get(item_ids).items()}


def require_last(operations, final):
    """Require that the last state of each item is that of an operation after which none began.

    Args:
        operations: Every operation of every client.
        final: Title of every item in the end, None for those that do not exist.
    """
    for item_id in {one.item_id for one in operations}:
        of_item = [one for one in operations if one.item_id == item_id]
        could_be = [one for one in of_item if one.title == final.get(item_id)]
        acknowledged = [one for one in of_item if one.ended < math.inf]
        if not could_be:  # never created, and no deletion of it was sent
            assert final.get(item_id) is None
            assert not acknowledged, (item_id, acknowledged)
            continue
        assert any(
            not any(later.begun > one.ended for later in acknowledged) for one in could_be
        ), (item_id, final.get(item_id), of_item)

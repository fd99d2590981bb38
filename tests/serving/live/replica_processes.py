"""Server processes over one log of item changes, and clients that change items of them."""

import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass

import grpc

from shortlist_client.api.item import Item
from shortlist_client.client import RecommenderClient

REPLICA = """
import asyncio, os, sys, threading
from pathlib import Path
import torch
from serving.catalogue.change_log import changes_path
from serving.engine.engine import Engine, EngineConfig
from serving.live.live_engine import LiveEngine
from serving.api.limits import Limits
from serving.replication.open_log import open_log
from serving.server.server import Server, ServerConfig
from tqdm import tqdm

root, address = Path(sys.argv[1]), sys.argv[2]
torch.set_num_threads(1)
base = Engine.load(root, EngineConfig(ranked=6, limits=Limits(shortlist=12)))

async def serve():
    log = open_log(address, changes_path(root), events="")
    async with Server(lambda: LiveEngine(base, root, log), ServerConfig(port=0)) as server:
        await server.ready()
        print(os.getpid(), server.address, flush=True)
        await asyncio.Event().wait()

for _ in sys.stdin:
    child = os.fork()
    if child == 0:
        tqdm.set_lock(threading.RLock())  # the default lock is shared with killed children
        asyncio.run(serve())
    os.waitpid(child, 0)
    print("gone", flush=True)
"""
"""Forks a server for every line that it reads, so that the engine is loaded only once."""


class Replica:
    """A server process that can be killed and started again."""

    def __init__(self, root, address, cwd):
        command = [sys.executable, "-c", REPLICA, str(root), address]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = subprocess.Popen(command, cwd=cwd, text=True, **pipes)
        self.target = None

    def start(self):
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        number, self.target = self._process.stdout.readline().split()
        self.number = int(number)

    def send(self, what):
        os.kill(self.number, what)

    def kill(self):
        target, self.target = self.target, None
        self.send(signal.SIGKILL)
        assert self._process.stdout.readline() == "gone\n"
        return target

    def close(self):
        if self.target is not None:
            self.kill()
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(20)


@contextmanager
def replicas(root, address, cwd, count=2):
    """Running replicas."""
    made = [Replica(root, address, cwd) for _ in range(count)]
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

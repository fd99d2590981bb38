"""A server process that tests kill and start again."""

import os
import signal
import subprocess
import sys

SERVERS = """
import asyncio, os, sys, threading
from pathlib import Path
import torch
from events.open_store import open_store
from serving.api.limits import Limits
from serving.catalogue.change_log import changes_path
from serving.engine.engine import Engine, EngineConfig
from serving.live.live_engine import LiveEngine
from serving.replication.open_log import open_log
from serving.server.config import ServerConfig
from serving.server.server import Server
from tqdm import tqdm

root, items, events = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
torch.set_num_threads(1)
base = Engine.load(root, EngineConfig(ranked=6, limits=Limits(shortlist=12)))

async def serve():
    log = open_log(items, changes_path(root), events="")
    store = open_store(events) if events else None
    async with Server(
        lambda: LiveEngine(base, root, log), ServerConfig(port=0), store=store
    ) as server:
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


class ForkedServer:
    """A server process that can be killed and started again."""

    def __init__(self, root, cwd, *, items="journal", events=""):
        """Load the engine.

        Args:
            root: Folder of the release.
            cwd: Folder of the repository.
            items: Address of the log of item changes; by default the folder's journal.
            events: Address of the event store; by default there is none.
        """
        command = [sys.executable, "-c", SERVERS, str(root), items, events]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = subprocess.Popen(command, cwd=cwd, text=True, **pipes)
        self.target = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

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

"""`python -m tests.serving.server.fuzz.victim [options of serve]`: the real server, a fake engine.

A line on standard input asks for the longest stops of the event loop since the last line.
"""

import asyncio
import json
import sys
import threading
import time

import serving.__main__
from serving.cli import serve as command
from shortlist_client.api.answer import Answer, Basis, Coverage, RankedItem
from shortlist_client.api.item import Item, KnownItem
from shortlist_client.api.operations import Counts
from tests.fake_replies import PROFILE, REPLY

TICK = 0.005


class FakeEngine:
    """Answers every request with one item, and keeps the items it is given."""

    def __init__(self):
        self.versions = dict.fromkeys(("data", "towers", "index", "ranker"), "fake")
        self.actions = ("buy", "view")
        self.version_token = object()
        self.cache_lookups = {}
        self._items = {"i0": Item(item_id="i0", title="red shirt")}
        self._answer = Answer(
            items=[
                RankedItem(
                    item_id="i0",
                    title="red shirt",
                    score=0.5,
                    tower_score=None,
                    neighbour_score=None,
                    sources=(),
                    shortlist_rank=None,
                    ranker_score=None,
                )
            ],
            basis=Basis.HISTORY,
            coverage=Coverage(corpus=1, searched=1, recalled=1, ranked=1),
            unknown_item_ids=(),
            milliseconds={},
            profile=PROFILE,
            reply=REPLY,
        )

    @property
    def current(self):
        return self

    @property
    def counts(self):
        return Counts(items=len(self._items), upserted=0, deleted=0, journal_bytes=0)

    def past(self, user_id):
        return []

    def follow(self):
        """Nobody else changes items."""

    close = follow

    def recount(self, store, actions, *, stopped):
        """Counts nothing."""

    @property
    def age_seconds(self):
        return 0.0

    def cost(self, request):
        return 1

    def answers(self, requests):
        return ((place, self._answer) for place in range(len(requests)))

    def check(self, item):
        """Accept every item."""

    def upsert(self, items):
        if len(self._items) < 1_000:
            self._items |= {item.item_id: item for item in items[:10]}

    def delete(self, item_ids):
        for item_id in item_ids:
            self._items.pop(item_id, None)

    def find(self, item_id):
        item = self._items.get(item_id)
        return None if item is None else KnownItem(item=item, changed=True)


class Stops:
    """The longest times for which the event loop did nothing else."""

    def __init__(self):
        self._wall = self._cpu = 0.0

    async def watch(self):
        while True:
            wall, cpu = time.monotonic(), time.thread_time()
            await asyncio.sleep(TICK)
            self._wall = max(self._wall, time.monotonic() - wall - TICK)
            self._cpu = max(self._cpu, time.thread_time() - cpu)

    def report(self):
        for _ in sys.stdin:
            longest = {"wall_ms": 1e3 * self._wall, "cpu_ms": 1e3 * self._cpu}
            self._wall = self._cpu = 0.0
            sys.stdout.write(json.dumps(longest) + "\n")
            sys.stdout.flush()


def main():
    stops, serve = Stops(), command.serve

    async def watched(make):
        watching = asyncio.create_task(stops.watch())
        try:
            await serve(make)
        finally:
            watching.cancel()

    command.serve = watched
    threading.Thread(target=stops.report, daemon=True).start()
    serving.__main__.main(["serve", *sys.argv[1:]], load=lambda *_: FakeEngine())


if __name__ == "__main__":
    main()

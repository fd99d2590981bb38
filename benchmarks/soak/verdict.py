"""What must hold at the end of a soak."""

import random
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.soak.callers import Soak
from benchmarks.soak.replicas import Replica
from events.open_store import open_store
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.client import RecommenderClient

SWAP_SECONDS = 180.0
"""Longest wait for the last live release."""
COMPARED = 100
"""Shoppers whose answers the replicas must agree on."""


def await_release(replica: Replica, live: str | None) -> None:
    """Wait until a replica serves the live release.

    Raises:
        TimeoutError: it still serves another one.
    """
    end = time.monotonic() + SWAP_SECONDS
    with RecommenderClient(replica.address, timeout=60) as client:
        while (serving := client.retrieve(Shopper(), Wishes(limit=1)).versions["release"]) != live:
            if time.monotonic() > end:
                raise TimeoutError(
                    f"replica {replica.name} must serve {live}, but serves {serving}"
                )
            time.sleep(0.5)


def versions_lost(soak: Soak, replica: Replica) -> list[str]:
    """Items that do not have their last acknowledged version on a replica."""
    allowed = soak.items.final()
    with RecommenderClient(replica.address, timeout=60) as client:
        found = client.catalog.get(list(allowed))
    seen = {i: found[i].item.title if i in found else None for i in allowed}
    return [
        f"{item_id} is {seen[item_id]!r} on {replica.name} at the end, not among {titles}"
        for item_id, titles in allowed.items()
        if seen[item_id] not in titles
    ]


def answers(replica: Replica, soak: Soak) -> list[Any]:
    """Items, scores and release of the answers to some shoppers."""
    rng = random.Random(0)
    with RecommenderClient(replica.address, timeout=60) as client:
        answers = [
            client.recommend(Shopper(history=rng.sample(soak.known, 5)), Wishes(limit=20))
            for _ in range(COMPARED)
        ]
    return [
        (answer.versions["release"], [(item.item_id, item.score) for item in answer.items])
        for answer in answers
    ]


def events_lost(soak: Soak, address: str) -> set[str]:
    """Acknowledged events that the store does not hold."""
    store = open_store(address)
    try:
        return soak.events.ids - {event.event_id for event in store.scan()}
    finally:
        store.close()


def growth(memory: Sequence[int]) -> float:
    """Mean memory of the last third of the soak over that of the middle third."""
    third = max(1, len(memory) // 3)
    middle, last = memory[third : 2 * third] or memory, memory[-third:]
    return round((sum(last) / len(last)) / (sum(middle) / len(middle)), 3)

"""Callers of a soak: threads that write items and events, and readers that judge every answer."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import grpc

from benchmarks.soak.ledger import EventLedger, ItemLedger
from shortlist_client.api.answer import Response
from shortlist_client.api.event import PURCHASE, Event
from shortlist_client.api.item import Item
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.client import RecommenderClient

LIMIT = 20
ITEMS_PER_WRITER = 50
DELETE_SHARE = 0.2
EVENTS_PER_CALL = 5
PAUSE_SECONDS = 0.2
"""Pause of a caller after a call, and before it repeats a failed one."""


@dataclass
class Findings:
    """What all callers saw. Thread-safe enough: each key is one operation of a Counter."""

    calls: Counter[str] = field(default_factory=Counter)
    """Calls by `caller replica status`"""
    wrong: list[str] = field(default_factory=list)
    """Descriptions of wrong answers"""


@dataclass(frozen=True, kw_only=True)
class Soak:
    """What the callers share."""

    items: ItemLedger
    events: EventLedger
    findings: Findings
    known: Sequence[str]
    """Item ids of the releases"""
    releases: Sequence[str]
    """Ids of the releases that alternate"""
    stop: threading.Event


def caller(
    soak: Soak, name: str, replica: str, address: str, work: Callable[[RecommenderClient], None]
) -> threading.Thread:
    """A thread that repeats `work` until the soak stops, and counts its statuses."""

    def run() -> None:
        with RecommenderClient(address, timeout=10) as client:
            while not soak.stop.is_set():
                try:
                    work(client)
                    status = "OK"
                except grpc.RpcError as error:
                    status = error.code().name
                soak.findings.calls[f"{name} {replica} {status}"] += 1
                soak.stop.wait(PAUSE_SECONDS)

    return threading.Thread(target=run, name=f"{name} {replica}")


def write_items(soak: Soak, writer: str) -> Callable[[RecommenderClient], None]:
    """Upserts and deletes the writer's own items, one version after another."""
    rng, ids = random.Random(writer), [f"soak-{writer}-{n}" for n in range(ITEMS_PER_WRITER)]
    versions: Counter[str] = Counter()
    exists: set[str] = set()

    def write(client: RecommenderClient) -> None:
        item_id = rng.choice(ids)
        if item_id in exists and rng.random() < DELETE_SHARE:
            exists.discard(item_id)  # a failed deletion may have been applied
            position = soak.items.begin(item_id, None)
            client.catalog.delete([item_id])
        else:
            versions[item_id] += 1
            title = f"Soak story {item_id} version {versions[item_id]}"
            position = soak.items.begin(item_id, title)
            result = client.catalog.upsert([Item(item_id=item_id, title=title)])
            if result.upserted != 1:
                soak.findings.wrong.append(f"{item_id} was rejected: {result.rejected}")
                return
            exists.add(item_id)
        soak.items.acknowledge(item_id, position)

    return write


def write_events(soak: Soak, writer: str) -> Callable[[RecommenderClient], None]:
    """Records purchases by the writer's own users; a failed call is sent again."""
    rng = random.Random(writer)
    pending: list[Event] = []

    def write(client: RecommenderClient) -> None:
        if not pending:
            user_id = f"soak-{writer}-{rng.randrange(100)}"
            pending.extend(
                Event(user_id=user_id, item_id=rng.choice(soak.known), action=PURCHASE)
                for _ in range(EVENTS_PER_CALL)
            )
        result = client.feedback.record(pending)
        if result.rejected:
            soak.findings.wrong.append(f"events were rejected: {result.rejected}")
        for event in pending:
            soak.events.acknowledge(event.user_id, event.item_id, event.event_id)
        pending.clear()

    return write


def read(soak: Soak, reader: str) -> Callable[[RecommenderClient], None]:
    """Asks for a user of the soak or a made-up history, and judges the answer."""
    rng = random.Random(reader)

    def ask(client: RecommenderClient) -> None:
        exclude = rng.sample(soak.known, 10)
        if rng.random() < 0.5:
            shopper = Shopper(
                user_id=f"soak-{rng.choice('ab')}{rng.randrange(2)}-{rng.randrange(100)}"
            )
        else:
            shopper = Shopper(history=rng.sample(soak.known, 5))
        asked = time.monotonic()
        answer = client.recommend(shopper, Wishes(limit=LIMIT, exclude=exclude))
        soak.findings.wrong.extend(faults(soak, shopper, set(exclude), answer, asked))

    return ask


def look_up(soak: Soak, reader: str) -> Callable[[RecommenderClient], None]:
    """Gets items that the soak writes and judges their versions."""
    rng = random.Random(reader)

    def ask(client: RecommenderClient) -> None:
        if not (ids := soak.items.item_ids()):
            return
        chosen = rng.sample(ids, min(10, len(ids)))
        asked = time.monotonic()
        found = client.catalog.get(chosen)
        for item_id in chosen:
            title = found[item_id].item.title if item_id in found else None
            if title not in (soak.items.allowed(item_id, asked) or ()):
                soak.findings.wrong.append(
                    f"{reader}: Get {item_id} is {title!r}, which is too old"
                )

    return ask


def faults(
    soak: Soak, shopper: Shopper, exclude: set[str], answer: Response, asked: float
) -> list[str]:
    """What is wrong with an answer."""
    ids = [item.item_id for item in answer.items]
    found = []
    if len(ids) != LIMIT or len(set(ids)) != LIMIT:
        found.append(f"{len(ids)} items, {len(set(ids))} of them distinct, instead of {LIMIT}")
    if excluded := exclude & set(ids):
        found.append(f"excluded items {excluded}")
    owned = set(shopper.history)
    if shopper.user_id is not None and answer.degraded is None:
        owned = soak.events.bought(shopper.user_id, asked)
    if again := owned & set(ids):
        found.append(f"items {again} of the shopper's own history")
    if answer.versions["release"] not in soak.releases:
        found.append(f"release {answer.versions['release']}")
    for item in answer.items:
        allowed = soak.items.allowed(item.item_id, asked)
        if allowed is not None and item.title not in allowed:
            found.append(f"{item.item_id} as {item.title!r}, which is too old or deleted")
    return found

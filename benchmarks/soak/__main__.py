"""`python -m benchmarks.soak`: an hour of mixed load on two replicas; nothing may be lost or wrong.

Two servers share a PostgreSQL database. Callers read, record events, and upsert and delete items
on both. The live release alternates, and one replica is killed and started again every minute. At
the end every acknowledged event must be stored and every item must have its last acknowledged
version on both replicas, which must give the same answers as a freshly started server.
"""

import logging
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.command import configuration, folders, parser, save_figures
from benchmarks.latency.server_process import resident, two_releases
from benchmarks.latency.serving import as_table
from benchmarks.soak.callers import (
    Findings,
    Soak,
    caller,
    look_up,
    read,
    write_events,
    write_items,
)
from benchmarks.soak.ledger import VISIBLE_SECONDS, EventLedger, ItemLedger
from benchmarks.soak.replicas import Replica, two_replicas
from benchmarks.soak.verdict import answers, await_release, events_lost, growth, versions_lost
from dataset.arrays import load_dataset
from lineage.cli import configure_logging, reported_errors
from lineage.publishing import go_live
from lineage.releases import live_id
from lineage.stages import DATA

logger = logging.getLogger("benchmarks.soak")
SAMPLE_SECONDS = 10.0
"""Time between two looks at the memory."""
WRITERS = 2
"""Writers of events, and of items, on each replica."""


@dataclass(frozen=True, kw_only=True)
class SoakConfig:
    """Length of the soak, and how often a replica is killed and a release goes live."""

    store: str
    """`postgresql://…` of an empty database that both replicas share."""
    minutes: float = 60.0
    """Length of the soak, minutes."""
    kill_seconds: float = 60.0
    """Time between two kills of the second replica, s."""
    reload_seconds: float = 30.0
    """Time between two releases that go live, s."""

    def __post_init__(self) -> None:
        for name in ("minutes", "kill_seconds", "reload_seconds"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")


def soaked(config: SoakConfig, root: Path, folder: Path) -> dict[str, Any]:
    """Figures of a soak of a dataset's finished stages.

    Args:
        config: Length of the soak.
        root: Folder of the stages.
        folder: Folder for temporary releases and for the logs of the servers.
    """
    releases = folder / root.name
    ids = two_releases(root, releases)
    soak = Soak(
        items=ItemLedger(),
        events=EventLedger(),
        findings=Findings(),
        known=load_dataset(root / DATA).item_ids,
        releases=ids,
        stop=threading.Event(),
    )
    with two_replicas(releases, config.store, folder) as (steady, killed):
        memory, kills, reloads = _loaded(soak, config, releases, steady, killed)
        time.sleep(2 * VISIBLE_SECONDS)
        for replica in (steady, killed):
            await_release(replica, live_id(releases))
            soak.findings.wrong.extend(versions_lost(soak, replica))
        before = [answers(replica, soak) for replica in (steady, killed)]
        killed.stop()
        killed.start()
        answers_agree = before[0] == before[1] == answers(killed, soak)
    lost = events_lost(soak, config.store)
    return {
        "minutes": config.minutes,
        "kills": kills,
        "reloads": reloads,
        "calls": dict(sorted(soak.findings.calls.items())),
        "acknowledged events": len(soak.events.ids),
        "acknowledged item changes": soak.items.acknowledged,
        "events lost": len(lost),
        "wrong answers": len(soak.findings.wrong),
        "first wrong answers": soak.findings.wrong[:10],
        "replicas and a fresh server give the same answers": answers_agree,
        "resident MiB of the replica that lived on": memory,
        "memory last / first third": growth(memory),
    }


def _loaded(
    soak: Soak, config: SoakConfig, releases: Path, steady: Replica, killed: Replica
) -> tuple[list[int], int, int]:
    """Run the load; returns the memory samples and the numbers of kills and of reloads."""
    threads = _callers(soak, (steady, killed))
    for thread in threads:
        thread.start()
    started, memory, sampled, kills, reloads = time.monotonic(), list[int](), 0.0, 0, 0
    try:
        while (now := time.monotonic() - started) < 60 * config.minutes:
            if now >= (kills + 1) * config.kill_seconds:
                killed.kill()
                killed.start()
                kills += 1
            if now >= (reloads + 1) * config.reload_seconds:
                reloads += 1
                go_live(releases, soak.releases[reloads % len(soak.releases)])
            if now >= sampled + SAMPLE_SECONDS:
                sampled = now
                memory.append(resident(steady.process_id))
                wrong = len(soak.findings.wrong)
                logger.info("%.0f s: %d MiB, %d wrong answers", now, memory[-1], wrong)
            time.sleep(0.5)
    finally:
        soak.stop.set()
        for thread in threads:
            thread.join()
    return memory, kills, reloads


def _callers(soak: Soak, replicas: Sequence[Replica]) -> list[threading.Thread]:
    threads = []
    for replica in replicas:
        where = replica.name, replica.address
        for number in range(WRITERS):
            writer = f"{replica.name}{number}"
            threads += [
                caller(soak, "events", *where, write_events(soak, writer)),
                caller(soak, "items", *where, write_items(soak, writer)),
                caller(soak, "read", *where, read(soak, f"reader {writer}")),
            ]
        threads.append(caller(soak, "get", *where, look_up(soak, f"get {replica.name}")))
    return threads


def main() -> None:
    """Soak a dataset's servers and write `soak.json`; the status is 1 if anything went wrong."""
    options = parser("python -m benchmarks.soak", "An hour of load on two replicas.", SoakConfig)
    parsed = options.parse_args()
    configure_logging()
    with reported_errors():
        arguments = options.instantiate(parsed)
        root, reports = folders(arguments)
        config = configuration(arguments, SoakConfig)
        with tempfile.TemporaryDirectory(dir=root.parent) as folder:
            figures = soaked(config, root, Path(folder))
        save_figures(reports, "soak", {"dataset": root.name, **figures})
        Console(width=110).print(as_table(f"{root.name}: soak", figures))
        bad = figures["events lost"] or figures["wrong answers"]
        sys.exit(bool(bad or not figures["replicas and a fresh server give the same answers"]))


if __name__ == "__main__":
    main()

"""Attacks a server in batches of sessions; after each, it must be well. Finds the least cause."""

import json
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tqdm import tqdm

from tests.serving.server.fuzz import corpus, polite, rude
from tests.serving.server.fuzz.attacked import new_server
from tests.serving.server.fuzz.wire import Session, play

BATCH, TOGETHER = 60, 6
MESSAGES = 600
"""Calls from which messages are taken and mutated."""
TRIES = 60
"""Servers started to find the least cause of a failure, at most."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What no batch may exceed."""

    stop_ms: float = 250.0
    """CPU time of one stop of the event loop; other processes do not count."""
    growth_mb: float = 100.0
    """Growth of the resident memory since the first batches."""
    files: int = 60
    """Growth of the number of open files since the first batches."""
    settle_seconds: float = 5.0
    """Time in which connections that were closed must be gone."""


@dataclass(kw_only=True)
class Report:
    """What was sent and seen."""

    sessions: Counter = field(default_factory=Counter)
    requests: Counter = field(default_factory=Counter)
    statuses: Counter = field(default_factory=Counter)
    stops: dict = field(default_factory=lambda: {"wall_ms": 0.0, "cpu_ms": 0.0})
    memory_mb: list = field(default_factory=list)
    seconds: float = 0.0

    def add(self, session, statuses):
        self.sessions[session.kind] += 1
        self.requests[session.kind] += session.requests
        self.statuses.update(statuses.values())

    def __str__(self):
        rows = [
            f"{self.requests[k]:8,} requests in {self.sessions[k]:6,} {k}" for k in self.sessions
        ]
        answers = ", ".join(f"{status}: {n:,}" for status, n in sorted(self.statuses.items()))
        memory = f"{self.memory_mb[0]:.0f} MB at first, {max(self.memory_mb):.0f} at most"
        rows.append(
            f"{self.requests.total():,} requests in {self.seconds:.0f} s; statuses {answers}"
        )
        rows.append(
            f"longest stop: {self.stops}; memory: {memory}, {self.memory_mb[-1]:.0f} at last"
        )
        return "\n".join(rows)


def sessions(seed, batch, messages):
    """The sessions of a batch, always the same for a seed and a number."""
    random = Random(f"{seed}/{batch}")
    kinds = {**polite.KINDS, **rude.KINDS, rude.mutated_sessions: 2}
    chosen = random.choices(list(kinds), list(kinds.values()), k=BATCH)
    if batch == 0:
        chosen = list(kinds)
    return [kind(random) if kind in rude.KINDS else kind(random, messages) for kind in chosen]


def attack(requests, *, seed, tls=False, bounds=Bounds(), first=0, shown=False):
    """Send at least some requests to a server, in batches.

    Args:
        requests: Number of requests.
        seed: Decides all messages.
        tls: Whether to speak TLS.
        bounds: What no batch may exceed.
        first: Number of the first batch.
        shown: Whether to show the progress.

    Raises:
        AssertionError: a batch broke the server; has the seed, the batch and the least script.
    """
    report, number, messages = Report(), first, corpus.build(seed, MESSAGES)
    started = time.monotonic()
    with new_server(tls=tls) as server, tqdm(total=requests, disable=not shown) as bar:
        before = Levels(server)
        while report.requests.total() < requests:
            batch = sessions(seed, number, messages)
            reason = after(batch, server, before, bounds, report)
            if number < first + 3:
                before = Levels(server)  # the first batches fill caches
            if reason:
                tqdm.write(f"seed {seed}, batch {number}: {reason}; looking for the least cause")
                cause = explained(
                    batch, f"{seed}-{number}", reason.partition(":")[0], tls=tls, bounds=bounds
                )
                raise AssertionError(f"seed {seed}, batch {number}: {reason}\n{cause}")
            bar.update(report.requests.total() - bar.n)
            number += 1
    report.seconds = time.monotonic() - started
    return report


class Levels:
    """Memory and open files of a server before an attack."""

    def __init__(self, server):
        self.memory_mb, self.files = server.memory_mb, server.open_files


def after(batch, server, before, bounds, report=None):
    """Play a batch; what is wrong with the server then, or an empty text."""
    report = report or Report()
    with ThreadPoolExecutor(TOGETHER) as pool:
        played = list(pool.map(lambda session: play(session, server.port, server.tls), batch))
    for session, (statuses, _) in zip(batch, played, strict=True):
        report.add(session, statuses)
    if reason := server.probe():
        return reason
    stops = server.stops()
    report.stops = {name: max(report.stops[name], stops[name]) for name in stops}
    report.memory_mb.append(server.memory_mb)
    if reason := server.complaints():
        return f"the log has a traceback: {reason}"
    for session, (_, reason) in zip(batch, played, strict=True):
        if reason:
            return f"{session.kind}: {reason}"
    if stops["cpu_ms"] > bounds.stop_ms:
        return f"the event loop stopped for {stops['cpu_ms']:.0f} ms of CPU"
    if (grown := server.memory_mb - before.memory_mb) > bounds.growth_mb:
        return f"the memory grew by {grown:.0f} MB"
    return _left_open(server, before, bounds)


def _left_open(server, before, bounds):
    end = time.monotonic() + bounds.settle_seconds
    while (more := server.open_files - before.files) > bounds.files:
        if time.monotonic() > end:
            return f"{more} more files are open"
        time.sleep(0.1)
    return ""


def explained(batch, name, kind, *, tls, bounds):
    """The least sessions and writes that repeat it against a new server."""

    def fails(chosen):
        with new_server(tls=tls) as server:
            found = after(chosen, server, Levels(server), bounds)
        return found if found.partition(":")[0] == kind else ""

    least = shrunk(batch, lambda chosen: bool(fails(chosen)))
    again = fails(least)
    if len(least) == 1:
        one = least[0]
        writes = (
            shrunk(one.writes, lambda w: bool(fails([Session(one.kind, tuple(w), one.forbidden)])))
            if not one.forbidden
            else one.writes
        )
        least = [Session(one.kind, tuple(writes), one.forbidden)]
    script = Path(tempfile.gettempdir()) / f"fuzz-{name}.json"
    script.write_text(json.dumps([[w.hex() for w in one.writes] for one in least]))
    shown = "\n".join(f"{one.kind}: {[w[:400] for w in one.writes][:20]}" for one in least[:5])
    return (
        f"{len(least)} of {len(batch)} sessions repeat it ({again or 'not alone'}); "
        f"`--replay {script}` plays them:\n{shown}"
    )


def shrunk(parts, fails):
    """The fewest parts found that still fail, in at most `TRIES` tries (Zeller's ddmin)."""
    parts, size, tries = list(parts), 2, 0
    if not fails(parts):
        return parts
    while len(parts) > 1 and tries < TRIES:
        step = max(len(parts) // size, 1)
        for at in range(0, len(parts), step):
            tries += 1
            rest = parts[:at] + parts[at + step :]
            chunk = parts[at : at + step]
            smaller = next((p for p in (chunk, rest) if 0 < len(p) < len(parts) and fails(p)), None)
            if smaller is not None:
                parts, size = smaller, 2
                break
        else:
            if step == 1:
                break
            size *= 2
    return parts

"""Runs the server in a separate process, as an operator starts it."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lineage.open_release import open_release
from lineage.publishing import add_release, go_live
from lineage.stages import NOT_SERVED

SHORTLIST = 100
"""Items that the server recalls and ranks"""
STOP_SECONDS = 120


def two_releases(root: Path, releases: Path) -> list[str]:
    """Publish the finished stages twice, make the first release live, and return both ids."""
    built = open_release(root)
    ids = []
    releases.mkdir(parents=True)
    for _ in range(2):
        record = add_release(releases, root, built.manifests, items=0, recall=1.0, bare=NOT_SERVED)
        ids.append(record.release_id)
        time.sleep(0.01)  # ids have a resolution of milliseconds
    go_live(releases, ids[0])
    return ids


@contextmanager
def running(releases: Path) -> Iterator[tuple[str, int]]:
    """Run a server of the live release; yields its address and process id.

    Raises:
        RuntimeError: the server ended before it was ready; its log says why.
    """
    command = [sys.executable, "-m", "serving", "serve", "--releases", str(releases)]
    # the same users are asked for repeatedly, and every answer must be computed
    command += ["--server.cache.answers_mb", "0", "--server.cache.shoppers", "0"]
    command += ["--server.port", "0", "--limits.shortlist", str(SHORTLIST), "--ranked"]
    command.append(str(SHORTLIST))
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = iter(process.stderr)
        ready = next((line for line in lines if "serving on " in line), None)
        if ready is None:
            raise RuntimeError(f"{' '.join(command)} ended with status {process.wait()}")
        drained = threading.Thread(target=lambda: [sys.stderr.write(line) for line in lines])
        drained.start()
        try:
            yield ready.split("serving on ")[1].split(": ")[0], process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            finally:
                process.kill()  # has no effect if it has ended
            drained.join()


def resident(process: int) -> int:
    """Resident memory of a process, MiB."""
    status = Path(f"/proc/{process}/status").read_text().splitlines()
    (kib,) = [line.split()[1] for line in status if line.startswith("VmRSS")]
    return int(kib) >> 10

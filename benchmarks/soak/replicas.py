"""Two server processes that share one PostgreSQL, one of them killed and started again."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from shortlist_client.client import RecommenderClient

READY_SECONDS = 180.0
STOP_SECONDS = 60.0


class Replica:
    """A server of a folder of releases, on a port that it keeps when it starts again."""

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        """Take the parts; nothing runs yet.

        Args:
            name: Name in reports.
            command: Command of the server, without its port.
            log: File of its log, appended to at every start.
        """
        self.name, self._log = name, log
        self._port = _free_port()
        self._command = [*command, "--server.port", str(self._port)]
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None

    @property
    def address(self) -> str:
        """`host:port` of the server."""
        return f"127.0.0.1:{self._port}"

    @property
    def process_id(self) -> int:
        """Process id of the running server."""
        assert self._process is not None
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server, and wait until it answers.

        Raises:
            TimeoutError: it was not ready in time; its log says why.
        """
        self._output = self._log.open("ab")
        self._process = subprocess.Popen(
            self._command, stdout=self._output, stderr=subprocess.STDOUT
        )
        end = time.monotonic() + READY_SECONDS
        with RecommenderClient(self.address) as client:
            while not client.is_ready(timeout=1.0):
                if not self.runs or time.monotonic() > end:
                    raise TimeoutError(f"replica {self.name} must start; {self._log} says why not")

    def kill(self) -> None:
        """End the server as by a crash."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._close_log()

    def stop(self) -> int:
        """Stop the server as a supervisor does; returns its status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(STOP_SECONDS)
        finally:
            self._process.kill()  # has no effect if it has ended
            self._close_log()
        return status

    def _close_log(self) -> None:
        if self._output is not None:
            self._output.close()


@contextmanager
def two_replicas(releases: Path, store: str, folder: Path) -> Iterator[tuple[Replica, Replica]]:
    """Run two servers of the same releases until the block ends."""
    command = [sys.executable, "-m", "serving", "serve", "--releases", str(releases)]
    command += ["--events.store", store]
    replicas = tuple(Replica(name, command, folder / f"{name}.log") for name in ("a", "b"))
    try:
        for replica in replicas:
            replica.start()
        yield replicas[0], replicas[1]
    finally:
        for replica in replicas:
            if replica.runs:
                replica.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""A real PostgreSQL server, if its programs are installed."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

SECONDS = 60


def programs():
    """Folder of `initdb` and `pg_ctl`; None if PostgreSQL is not installed."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return installed[-1].parent if installed else None


class Postgres:
    """A PostgreSQL server that listens on a Unix socket in its own folder."""

    def __init__(self, folder, user):
        self.folder = folder
        # not `user=` of subprocess: it forks, which crashes beside the threads of gRPC's clients
        drop = ["setpriv", "--clear-groups", f"--reuid={user}", f"--regid={user}", "--"]
        self._as = drop if user else []
        self._run("initdb", "-D", folder / "data", "-U", "shop", "-A", "trust", "-E", "UTF8", "-N")
        self.start()
        self._schemas = 0

    def _run(self, program, *arguments):
        subprocess.run(
            [*self._as, programs() / program, *arguments],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            stdout=subprocess.DEVNULL,
            timeout=SECONDS,
            check=True,
        )

    def start(self):
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder} -c fsync=off"
        data, log = self.folder / "data", self.folder / "log"
        self._run("pg_ctl", "-D", data, "-l", log, "-w", "-o", options, "start")

    def stop(self, mode):
        self._run("pg_ctl", "-D", self.folder / "data", "-w", "-m", mode, "stop")

    def processes(self):
        """Numbers of the server's processes."""
        first = (self.folder / "data" / "postmaster.pid").read_text().split()[0]
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        return [int(number) for number in (first, *children)]

    def empty(self):
        """Address of a new, empty schema of the database."""
        import psycopg

        self._schemas += 1
        name = f"shop{self._schemas}"
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"{self.address}&options=-csearch_path%3D{name}"

    @property
    def address(self):
        return f"postgresql:///postgres?host={self.folder}&user=shop"


@pytest.fixture(scope="session")
def postgres():
    if programs() is None:
        pytest.skip("needs PostgreSQL's `initdb` and `pg_ctl` (Debian: postgresql)")
    user = None
    if os.getuid() == 0:  # PostgreSQL does not run as root
        user = "postgres"
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # a socket's path must be short
    if user:
        shutil.chown(folder, user, user)
    server = Postgres(folder, user)
    yield server
    server.stop("immediate")
    shutil.rmtree(folder)

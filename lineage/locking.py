"""Lets one process at a time change a folder of releases; errors name the process."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from lineage.releases import CURRENT, ReleaseError, ReleasesBusyError, live_id

LOCK = "LOCK"


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Lock a folder of releases for changes; create it if it is missing.

    The kernel frees the lock when the process ends. The lock file's text names the process.

    Raises:
        ReleasesBusyError: another process is changing the folder.
        ReleaseError: the folder holds something else, or cannot be written.
    """
    try:
        _prepare(folder)
        descriptor, owner = lock_file(folder / LOCK)
        if descriptor is None:
            raise ReleasesBusyError(f"{folder} is being changed by {owner}; wait until it is done")
        try:
            yield
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ReleaseError(
            f"{folder} could not be changed: {error}; live is {live_id(folder) or 'nothing'}"
        ) from error


def lock_file(path: Path, *, sharers: str = "") -> tuple[int | None, str]:
    """Lock a file until its descriptor is closed; create the file if it is missing.

    Args:
        path: The file.
        sharers: Who may hold the lock together; by default one process holds it alone.

    Returns:
        The descriptor, or None where another process holds the lock; and the lock's owner.

    Raises:
        OSError: the file cannot be opened or locked.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if sharers else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 1000, 0).decode(errors="replace").strip()
            os.close(descriptor)
            return None, owner or "another process"
        except BaseException:
            os.close(descriptor)
            raise
        if is_at(path, descriptor):
            break
        os.close(descriptor)  # removed in between: a lock of it would exclude nobody
    started = f"{datetime.now(UTC):%F %T} UTC"
    owner = sharers or f"process {os.getpid()} on {socket.gethostname()} since {started}"
    with suppress(OSError):  # on a full disk the lock works without an owner's name
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{owner}\n".encode(), 0)
    return descriptor, owner


def is_at(path: Path, descriptor: int) -> bool:
    """Whether a path leads to the very file of an open descriptor."""
    try:
        found, held = path.stat(), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)


def flush(folder: Path) -> None:
    """Sync a folder's entries to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _prepare(folder: Path) -> None:
    """Create the folder, or check that it is a folder of releases."""
    if not folder.exists():
        folder.mkdir(parents=True)
        flush(folder.parent.parent)
        flush(folder.parent)
    names = {path.name for path in folder.iterdir()}
    if names and not names & {LOCK, CURRENT}:
        raise ReleaseError(
            f"{folder} must be empty or a folder of releases, but holds {min(names)!r}"
        )

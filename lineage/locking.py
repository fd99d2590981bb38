"""One process at a time changes a folder of releases; the others are told who does."""

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
    """Keep everybody else from changing a folder of releases, which is made where it is missing.

    The kernel holds the lock and frees it when the process is gone; the file's text names it.

    Raises:
        ReleasesBusyError: someone else is changing it.
        ReleaseError: it holds something else, or the disk refused.
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


def lock_file(path: Path) -> tuple[int | None, str]:
    """Lock a file, which is made where it is missing, until its descriptor is closed.

    Returns:
        The descriptor, None where somebody else holds the lock; and who holds it now.

    Raises:
        OSError: the file cannot be opened or locked.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(descriptor, 1000, 0).decode(errors="replace").strip()
        os.close(descriptor)
        return None, owner or "another process"
    except BaseException:
        os.close(descriptor)
        raise
    owner = f"process {os.getpid()} on {socket.gethostname()} since {datetime.now(UTC):%F %T} UTC"
    with suppress(OSError):  # a full disk: the lock holds without a name
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{owner}\n".encode(), 0)
    return descriptor, owner


def flush(folder: Path) -> None:
    """Force a folder's entries to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _prepare(folder: Path) -> None:
    """Make the folder, or see that it is one of releases."""
    if not folder.exists():
        folder.mkdir(parents=True)
        flush(folder.parent.parent)
        flush(folder.parent)
    names = {path.name for path in folder.iterdir()}
    if names and not names & {LOCK, CURRENT}:
        raise ReleaseError(
            f"{folder} must be empty or a folder of releases, but holds {min(names)!r}"
        )

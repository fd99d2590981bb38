"""Reads files that operators change under a running server: clients, certificates, keys."""

import os
import stat
from pathlib import Path

MOST_BYTES = 16 << 20
"""Largest such file."""


def read_small(path: Path) -> bytes:
    """Content of a regular file; never waits, as reading a pipe or a terminal would.

    Raises:
        OSError: the file cannot be read, is no regular file, or is larger than `MOST_BYTES`.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} must be a regular file")
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise OSError(f"{path} must have at most {MOST_BYTES:,} bytes")
    return content

"""Writes files that are replaced completely or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lineage.locking import flush


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Path to write a file's new content to; it takes the file's place, flushed to the disk.

    If the block fails, the old file stays and the new content is deleted. Makes the folder.

    Raises:
        OSError: the disk is full or refuses; the old file stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    flush(path.parent)

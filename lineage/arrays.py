"""Reads arrays of a stage so that replacing or deleting their files does not change them."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAPPED_MIB = "SHORTLIST_MAPPED_MIB"
"""Environment variable: size from which a file is mapped instead of copied into memory, MiB."""
DEFAULT_MAPPED_MIB = 16


def read_array(path: Path) -> NDArray[Any]:
    """The array in a `.npy` file, read-only.

    A small file is copied into memory: nothing that happens to it later matters. A large file is
    mapped and held: it may be replaced or deleted, but a program that writes into it changes the
    array, and one that truncates it ends this process with SIGBUS at the next read.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is no array, or the environment variable is no number.
    """
    limit = float(os.environ.get(MAPPED_MIB, DEFAULT_MAPPED_MIB)) * 2**20
    array: NDArray[Any]
    if path.stat().st_size >= limit:
        array = np.load(path, mmap_mode="r")
    else:
        array = np.load(path)
        array.flags.writeable = False
    return array

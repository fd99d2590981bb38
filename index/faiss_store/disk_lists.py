"""Inverted lists on disk, for lists too large for memory: merges shards and maps the result."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.faiss_store.installation import load_faiss


def merge_lists(
    shards: Sequence[Path], path: Path, nlist: int, *, at_once: int
) -> NDArray[np.uint64]:
    """Merge the inverted lists of shards into one file: for each list its codes, then its rows.

    FAISS's own merge maps the whole file into memory and crashes on a full disk. Writing through
    Python raises an error instead.

    Args:
        shards: Files of indexes over parts of the corpus.
        path: File to write.
        nlist: Inverted lists of each shard.
        at_once: Bytes after which the shards are mapped anew, which frees their pages.

    Returns:
        (nlist,) lengths of the lists.

    Raises:
        OSError: the disk is full.
    """
    from faiss.contrib.inspect_tools import get_invlist

    faiss, sizes = load_faiss(), np.zeros(nlist, np.uint64)
    mapped: list[Any] = []
    with path.open("wb") as file:
        released = 0
        for number in range(nlist):
            if not mapped or file.tell() - released > at_once:
                mapped.clear()
                mapped += [faiss.read_index(str(shard), faiss.IO_FLAG_MMAP) for shard in shards]
                released = file.tell()
            parts = [
                get_invlist(shard.invlists, number)  # type: ignore[no-untyped-call]
                for shard in mapped
            ]
            sizes[number] = sum(len(rows) for rows, _ in parts)
            for content in [codes for _, codes in parts] + [rows for rows, _ in parts]:
                file.write(np.ascontiguousarray(content).data)
    return sizes


def map_lists(index: Any, path: Path, sizes: NDArray[np.uint64]) -> None:
    """Make an empty IVF index read its inverted lists from a file.

    Args:
        index: Empty index with the shards' training.
        path: File that `merge_lists` wrote.
        sizes: (nlist,) lengths of the lists, as `merge_lists` returned them.
    """
    faiss = load_faiss()
    lists = faiss.OnDiskInvertedLists(index.nlist, index.code_size, str(path))
    lists.set_all_lists_sizes(faiss.swig_ptr(sizes))
    lists.totsize = path.stat().st_size
    lists.do_mmap()
    index.replace_invlists(lists, True)  # noqa: FBT003
    lists.this.disown()
    index.ntotal = int(sizes.sum())

"""Inverted lists too large for memory: merged from shards into one file, and searched there."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.faiss_store.installation import load_faiss


def merge_lists(
    shards: Sequence[Path], path: Path, nlist: int, *, at_once: int
) -> NDArray[np.uint64]:
    """Write every list's codes, then its rows, through Python, which notices a full disk.

    FAISS's own merge maps all of it into memory, and dies of a full disk.

    Args:
        shards: Indexes over parts of the corpus.
        path: Of the file to write.
        nlist: Lists of each.
        at_once: Bytes after which the shards' maps are given back.

    Returns:
        (nlist,) lengths of the lists.

    Raises:
        OSError: the disk is full.
    """
    from faiss.contrib.inspect_tools import get_invlist

    faiss, sizes = load_faiss(), np.zeros(nlist, np.uint64)
    mapped: list[Any] = []
    with path.open("wb") as file:
        given_back = 0
        for number in range(nlist):
            if not mapped or file.tell() - given_back > at_once:
                mapped.clear()
                mapped += [faiss.read_index(str(shard), faiss.IO_FLAG_MMAP) for shard in shards]
                given_back = file.tell()
            parts = [
                get_invlist(shard.invlists, number)  # type: ignore[no-untyped-call]
                for shard in mapped
            ]
            sizes[number] = sum(len(rows) for rows, _ in parts)
            for content in [codes for _, codes in parts] + [rows for rows, _ in parts]:
                file.write(np.ascontiguousarray(content).data)
    return sizes


def map_lists(index: Any, path: Path, sizes: NDArray[np.uint64]) -> None:
    """Let an empty IVF index read its lists from a file.

    Args:
        index: Trained as the shards were.
        path: What `merge_lists` wrote.
        sizes: What it returned.
    """
    faiss = load_faiss()
    lists = faiss.OnDiskInvertedLists(index.nlist, index.code_size, str(path))
    lists.set_all_lists_sizes(faiss.swig_ptr(sizes))
    lists.totsize = path.stat().st_size
    lists.do_mmap()
    index.replace_invlists(lists, True)  # noqa: FBT003
    lists.this.disown()
    index.ntotal = int(sizes.sum())

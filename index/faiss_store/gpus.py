"""A copy of an index on the GPUs, owned by one thread; copies to the GPUs and back."""

import logging
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.config import GPUs
from index.faiss_store.installation import gpu_count, load_faiss
from index.vector_store import Found
from index.vectors import Vectors

logger = logging.getLogger(__name__)
WIDEST = 2048
"""Largest k and `nprobe` of a search on a GPU: FAISS's `getMaxKSelection`."""
WIDEST_OF_GRAPH = 512
"""Largest k and `ef_search` of cuVS's graph search in a single thread block."""
BEAM = 32
"""cuVS's graph search keeps a multiple of this many candidates."""


@dataclass(frozen=True)
class _Search:
    queries: NDArray[np.float32]
    k: int
    found: "Future[Found]"


class GpuIndex:
    """A copy of a FAISS index on one or several GPUs, for any number of threads.

    Two threads must not use a FAISS GPU index at once, not even to search
    (https://github.com/facebookresearch/faiss/wiki/Threads-and-asynchronous-calls). So a single
    thread creates and uses it, and runs waiting searches with the same k as one batch.
    """

    def __init__(self, index: Any, gpus: GPUs) -> None:
        """Clone an index.

        Args:
            index: Index on the CPU; must outlive the copy.
            gpus: How several GPUs share the work.

        Raises:
            RuntimeError: a GPU does not support this index or lacks memory for it.
        """
        self._faiss = load_faiss()
        self._stored = self._faiss.downcast_index(index)
        self._require_gpu_effort()
        self._owner = ThreadPoolExecutor(1, "gpu-index")
        self._waiting: deque[_Search] = deque()
        self._index = self._owner.submit(cloned, self._stored, gpus).result()

    @property
    def widest(self) -> int:
        """Largest k of a search."""
        if isinstance(self._stored, self._faiss.IndexHNSW):
            return WIDEST_OF_GRAPH
        return int(WIDEST // getattr(self._stored, "k_factor", 1))

    def search(self, queries: NDArray[np.float32], k: int) -> Found:
        """Find the k items of largest inner product.

        Args:
            queries: (queries, dimension) of unit length, C-contiguous.
            k: Items per query, at most `widest`.

        Returns:
            Scores and item rows, both (queries, k), best first; row -1 if fewer were found.

        Raises:
            RuntimeError: the GPU failed.
        """
        search = _Search(queries, k, Future())
        self._waiting.append(search)
        self._owner.submit(self._search_all)
        return search.found.result()

    def set_operating_point(self, parameters: str) -> None:
        """Set the search parameters that the index on the CPU already has.

        Raises:
            RuntimeError: a GPU does not support so large an effort.
        """
        self._require_gpu_effort()
        if isinstance(self._stored, self._faiss.IndexHNSW):
            return  # `_found` passes them to each search
        space = self._faiss.GpuParameterSpace()
        self._owner.submit(space.set_index_parameters, self._index, parameters).result()

    def _require_gpu_effort(self) -> None:
        """Check the effort: FAISS accepts an `nprobe` too large for a GPU, then fails to search."""
        if isinstance(self._stored, self._faiss.IndexHNSW):
            name, effort, most = "efSearch", self._stored.hnsw.efSearch, WIDEST_OF_GRAPH
        else:
            ivf = self._faiss.try_extract_index_ivf(self._stored)
            name, effort, most = "nprobe", 0 if ivf is None else ivf.nprobe, WIDEST
        if effort > most:
            raise RuntimeError(f"{name} must be at most {most} on a GPU, got {effort}")

    def _search_all(self) -> None:
        """Answer all waiting searches, one batch for each k."""
        batches: dict[int, list[_Search]] = {}
        while self._waiting:  # empty if an earlier call has answered this call's search
            search = self._waiting.popleft()
            batches.setdefault(search.k, []).append(search)
        for k, searches in batches.items():
            self._search_batch(k, searches)

    def _search_batch(self, k: int, searches: Sequence[_Search]) -> None:
        try:
            scores, rows = self._found(np.concatenate([search.queries for search in searches]), k)
        except Exception as error:
            for search in searches:
                search.found.set_exception(RuntimeError(str(error)))
            return
        stop = 0
        for search in searches:
            own = slice(stop, stop := stop + len(search.queries))
            search.found.set_result((scores[own], rows[own]))

    def _found(self, queries: NDArray[np.float32], k: int) -> Found:
        parameters = None
        if isinstance(self._stored, self._faiss.IndexHNSW):
            beam = BEAM * -(-max(self._stored.hnsw.efSearch, k) // BEAM)
            parameters = self._faiss.SearchParametersCagra()
            parameters.itopk_size = beam
        scores, rows = self._index.search(queries, k, params=parameters)
        return scores, rows


def used(gpus: GPUs) -> bool:
    """Whether FAISS sees a GPU and may use it."""
    return gpus != "none" and gpu_count() > 0


def on_gpus(index: Any, gpus: GPUs) -> GpuIndex | None:
    """A copy on the GPUs; None without a usable GPU, with a warning if one was required."""
    if not used(gpus):
        if gpus in ("replicas", "shards"):
            logger.warning("searching on the CPU, because FAISS sees no GPU (gpus: %s)", gpus)
        return None
    try:
        return GpuIndex(index, gpus)
    except RuntimeError as error:
        warn_cpu_fallback(error)
        return None


def warn_cpu_fallback(error: RuntimeError) -> None:
    """Log a warning that the CPU takes over after a GPU failed."""
    logger.warning("falling back to the CPU, because the GPU failed: %s", error)


def cloned(index: Any, gpus: GPUs) -> Any:
    """A copy of a CPU index on all GPUs.

    For a refined index, the GPUs find candidates and the CPU rescores them with its own vectors. A
    graph is copied to the first GPU only.

    Raises:
        RuntimeError: a GPU does not support this index or lacks memory for it.
    """
    faiss = load_faiss()
    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexRefine):
        refined = faiss.IndexRefine(cloned(index.base_index, gpus), index.refine_index)
        refined.k_factor = index.k_factor
        return refined
    if isinstance(index, faiss.IndexHNSW):
        # FAISS's copy to several GPUs silently stays on the CPU
        return to_first(index)
    options = faiss.GpuMultipleClonerOptions()
    options.shard = gpus == "shards"
    # lookup tables of 96 codes fit into a thread block's shared memory only as fp16
    options.useFloat16 = isinstance(index, faiss.IndexIVFPQ)
    return faiss.index_cpu_to_gpus_list(index, co=options)


def to_first(index: Any) -> Any:
    """A copy of a CPU index on the first GPU, at the same precision.

    Raises:
        RuntimeError: a GPU does not support this index or lacks memory for it.
    """
    faiss = load_faiss()
    return faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index)


def to_cpu(index: Any) -> Any:
    """A copy on the CPU of an index on a GPU."""
    return load_faiss().index_gpu_to_cpu(index)


def built_graph(embeddings: Vectors, degree: int) -> Any:
    """A graph over fp32 vectors, built by a GPU (CAGRA, arXiv:2308.15136) and copied to the CPU.

    Args:
        embeddings: (items, dimension); the GPU holds all of them at once.
        degree: Neighbours per item.

    Raises:
        RuntimeError: the GPU lacks memory for it.
    """
    faiss, dimension = load_faiss(), embeddings.shape[1]
    options = faiss.GpuIndexCagraConfig()
    options.graph_degree, options.intermediate_graph_degree = degree, 2 * degree
    options.guarantee_connectivity = True  # else separate clusters are unreachable
    metric = faiss.METRIC_INNER_PRODUCT
    on_gpu = faiss.GpuIndexCagra(faiss.StandardGpuResources(), dimension, metric, options)
    vectors = np.ascontiguousarray(embeddings, dtype=np.float32)
    on_gpu.train(vectors)  # makes no copy, so `vectors` must outlive `on_gpu`
    graph = faiss.IndexHNSWCagra(dimension, degree // 2, metric)
    graph.base_level_only = True
    on_gpu.copyTo(graph)
    return graph

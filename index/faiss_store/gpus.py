"""The form of an index that GPUs search: cloned there and back, owned by one thread."""

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
"""Items that a query finds, and lists that it visits, at most: FAISS's `getMaxKSelection`."""
WIDEST_OF_GRAPH = 512
"""Candidates that cuVS's search of a graph holds in a single block."""
BEAM = 32
"""It holds a multiple of so many."""


@dataclass(frozen=True)
class _Search:
    queries: NDArray[np.float32]
    k: int
    found: "Future[Found]"


class OnGPUs:
    """A copy of a FAISS index on one GPU or several, for any number of threads.

    FAISS's GPU indexes may not be used by two threads at once, not even to search
    (https://github.com/facebookresearch/faiss/wiki/Threads-and-asynchronous-calls). One thread
    makes this one and alone touches it; searches that wait for as many items are done as one.
    """

    def __init__(self, index: Any, gpus: GPUs) -> None:
        """Clone an index, which must outlive this.

        Args:
            index: On the CPU.
            gpus: How several share the work.

        Raises:
            RuntimeError: FAISS has no such index on a GPU, or the GPU no room for it.
        """
        self._faiss = load_faiss()
        self._stored = self._faiss.downcast_index(index)
        self._require_within_reach()
        self._owner = ThreadPoolExecutor(1, "gpu-index")
        self._waiting: deque[_Search] = deque()
        self._index = self._owner.submit(cloned, self._stored, gpus).result()

    @property
    def widest(self) -> int:
        """Items that a query may ask for."""
        if isinstance(self._stored, self._faiss.IndexHNSW):
            return WIDEST_OF_GRAPH
        return int(WIDEST // getattr(self._stored, "k_factor", 1))

    def search(self, queries: NDArray[np.float32], k: int) -> Found:
        """Find the k items of largest inner product.

        Args:
            queries: (queries, dimension) of unit length, C-contiguous.
            k: Items a query, at most `widest`.

        Returns:
            Scores and item rows, both (queries, k), best first; row -1 where fewer were found.

        Raises:
            RuntimeError: the GPU failed.
        """
        asked = _Search(queries, k, Future())
        self._waiting.append(asked)
        self._owner.submit(self._search_all)
        return asked.found.result()

    def set_operating_point(self, parameters: str) -> None:
        """Search as the CPU's form does, which has taken these parameters.

        Raises:
            RuntimeError: a GPU cannot look as hard.
        """
        self._require_within_reach()
        if isinstance(self._stored, self._faiss.IndexHNSW):
            return  # each search takes its own
        space = self._faiss.GpuParameterSpace()
        self._owner.submit(space.set_index_parameters, self._index, parameters).result()

    def _require_within_reach(self) -> None:
        """FAISS takes an `nprobe` that no GPU can search, and fails at every search after it."""
        if isinstance(self._stored, self._faiss.IndexHNSW):
            asked, most = self._stored.hnsw.efSearch, WIDEST_OF_GRAPH
        else:
            ivf = self._faiss.try_extract_index_ivf(self._stored)
            asked, most = 0 if ivf is None else ivf.nprobe, WIDEST
        if asked > most:
            raise RuntimeError(f"a GPU looks at {most} at most, asked for {asked}")

    def _search_all(self) -> None:
        """Answer all that wait: one search for those who want as many items."""
        together: dict[int, list[_Search]] = {}
        while self._waiting:  # empty where those before this turn took it along
            one = self._waiting.popleft()
            together.setdefault(one.k, []).append(one)
        for k, asked in together.items():
            self._search_together(k, asked)

    def _search_together(self, k: int, asked: Sequence[_Search]) -> None:
        try:
            scores, rows = self._found(np.concatenate([one.queries for one in asked]), k)
        except Exception as error:
            for one in asked:
                one.found.set_exception(RuntimeError(str(error)))
            return
        stop = 0
        for one in asked:
            own = slice(stop, stop := stop + len(one.queries))
            one.found.set_result((scores[own], rows[own]))

    def _found(self, queries: NDArray[np.float32], k: int) -> Found:
        parameters = None
        if isinstance(self._stored, self._faiss.IndexHNSW):
            beam = BEAM * -(-max(self._stored.hnsw.efSearch, k) // BEAM)
            parameters = self._faiss.SearchParametersCagra()
            parameters.itopk_size = beam
        scores, rows = self._index.search(queries, k, params=parameters)
        return scores, rows


def used(gpus: GPUs) -> bool:
    """Whether there are GPUs, and they take part."""
    return gpus != "none" and gpu_count() > 0


def on_gpus(index: Any, gpus: GPUs) -> OnGPUs | None:
    """A copy on the GPUs; None where there are none, with a warning where they were asked for."""
    if not used(gpus):
        if gpus in ("replicas", "shards"):
            logger.warning("searched on the CPU, for FAISS sees no GPU (gpus: %s)", gpus)
        return None
    try:
        return OnGPUs(index, gpus)
    except RuntimeError as error:
        left_to_cpu(error)
        return None


def left_to_cpu(error: RuntimeError) -> None:
    """Warn that the CPU does what a GPU could not."""
    logger.warning("left to the CPU, for the GPU cannot: %s", error)


def cloned(index: Any, gpus: GPUs) -> Any:
    """A copy of a CPU index on all GPUs.

    Of a refined index, the candidates come from the GPUs, and the CPU compares them with its own
    vectors. A graph lies on the first GPU alone.

    Raises:
        RuntimeError: FAISS has no such index on a GPU, or the GPU no room for it.
    """
    faiss = load_faiss()
    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexRefine):
        refined = faiss.IndexRefine(cloned(index.base_index, gpus), index.refine_index)
        refined.k_factor = index.k_factor
        return refined
    if isinstance(index, faiss.IndexHNSW):
        # told to clone it to several, FAISS makes a copy on the CPU without a word
        return to_first(index)
    options = faiss.GpuMultipleClonerOptions()
    options.shard = gpus == "shards"
    # tables of 96 codes fit into a block's shared memory as fp16 alone
    options.useFloat16 = isinstance(index, faiss.IndexIVFPQ)
    return faiss.index_cpu_to_gpus_list(index, co=options)


def to_first(index: Any) -> Any:
    """A copy on the first GPU, as exact as it is.

    Raises:
        RuntimeError: FAISS has no such index on a GPU, or the GPU no room for it.
    """
    faiss = load_faiss()
    return faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index)


def to_cpu(index: Any) -> Any:
    """The CPU form of an index on a GPU."""
    return load_faiss().index_gpu_to_cpu(index)


def built_graph(embeddings: Vectors, degree: int) -> Any:
    """The CPU's form of a graph that a GPU builds over whole vectors (CAGRA, arXiv:2308.15136).

    Args:
        embeddings: (items, dimension); all lie on the GPU at once.
        degree: Neighbours of an item.

    Raises:
        RuntimeError: the GPU has no room for it.
    """
    faiss, dimension = load_faiss(), embeddings.shape[1]
    options = faiss.GpuIndexCagraConfig()
    options.graph_degree, options.intermediate_graph_degree = degree, 2 * degree
    options.guarantee_connectivity = True  # else clusters that lie apart are never reached
    metric = faiss.METRIC_INNER_PRODUCT
    on_gpu = faiss.GpuIndexCagra(faiss.StandardGpuResources(), dimension, metric, options)
    vectors = np.ascontiguousarray(embeddings, dtype=np.float32)
    on_gpu.train(vectors)  # which keeps no copy: they must outlive it
    graph = faiss.IndexHNSWCagra(dimension, degree // 2, metric)
    graph.base_level_only = True
    on_gpu.copyTo(graph)
    return graph

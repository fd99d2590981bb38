"""Index copies on GPUs, with CPU copies as stand-ins; `test_on_gpu.py` needs real GPUs."""

import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from index.config import IndexConfig
from index.faiss_store import gpus
from index.faiss_store.build import build_index, chosen_kind
from index.faiss_store.gpus import WIDEST, GpuIndex
from index.faiss_store.installation import load_faiss
from index.faiss_store.store import FaissStore
from index.stage import tune
from tests.rounding import rounding


class FakeCopy:
    """A stand-in for a GPU copy: records threads and batches, and ignores row selectors."""

    def __init__(self, index):
        self.index = load_faiss().clone_index(index)
        self.threads, self.batches, self.inside, self.fails = set(), [], 0, None

    def search(self, queries, k, params=None):
        assert not self.inside
        assert k <= WIDEST
        self.inside += 1
        self.threads.add(threading.current_thread())
        self.batches.append(len(queries))
        time.sleep(0.002)
        self.inside -= 1
        if self.fails:
            raise self.fails
        return self.index.search(queries, k)


class Parameters:
    """Stand-in for `GpuParameterSpace`."""

    def set_index_parameters(self, index, parameters):
        index.threads.add(threading.current_thread())
        load_faiss().ParameterSpace().set_index_parameters(index.index, parameters)


@pytest.fixture
def one_gpu(monkeypatch):
    monkeypatch.setattr(gpus, "gpu_count", lambda: 1)
    monkeypatch.setattr(gpus, "cloned", lambda index, _: FakeCopy(index))
    monkeypatch.setattr(load_faiss(), "GpuParameterSpace", Parameters, raising=False)
    monkeypatch.setattr(
        "index.faiss_store.build.to_first", lambda index: load_faiss().clone_index(index)
    )
    monkeypatch.setattr("index.faiss_store.build.to_cpu", lambda index: index)


@pytest.fixture
def short_of_memory(monkeypatch):
    monkeypatch.setattr("index.faiss_store.build._items_within", lambda *_: 600)


def on_gpu(index):
    return index._on_gpus._index


def test_one_thread_batches_waiting_searches_and_each_gets_its_own_result(one_gpu, unit_vectors):
    stored = load_faiss().IndexFlatIP(16)
    stored.add(unit_vectors)
    index = GpuIndex(stored, "auto")

    def ask(place):
        rows = slice(place, place + 1 + place % 3)
        k = (5, 17)[place % 2]
        return index.search(unit_vectors[rows], k), stored.search(unit_vectors[rows], k)

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(ask, range(300)))

    for found, expected in answers:
        np.testing.assert_array_equal(found[1], expected[1])
        np.testing.assert_allclose(found[0], expected[0], atol=rounding(1, terms=16))
    copy = index._index
    assert len(copy.threads) == 1
    assert threading.main_thread() not in copy.threads
    assert len(copy.batches) < 150
    assert sum(copy.batches) == sum(1 + place % 3 for place in range(300))


@pytest.mark.usefixtures("one_gpu")
def test_a_failed_batch_raises_in_every_waiting_search_and_the_next_one_works(unit_vectors):
    stored = load_faiss().IndexFlatIP(16)
    stored.add(unit_vectors)
    index = GpuIndex(stored, "auto")
    index._index.fails = RuntimeError("out of memory")

    with ThreadPoolExecutor(8) as threads:
        searches = [threads.submit(index.search, unit_vectors[:1], 5) for _ in range(8)]
    assert all("out of memory" in str(search.exception()) for search in searches)

    index._index.fails = None
    assert index.search(unit_vectors[:1], 5)[1][0, 0] == 0


@pytest.mark.usefixtures("one_gpu")
def test_a_search_that_exceeds_gpu_memory_falls_back_to_the_cpu(unit_vectors, tmp_path, caplog):
    index = build_index(unit_vectors, IndexConfig(), tmp_path)
    on_gpu(index).fails = RuntimeError("out of memory")

    assert index.search(unit_vectors[:2], 5)[1][:, 0].tolist() == [0, 1]
    assert "out of memory" in caplog.text


@pytest.mark.usefixtures("one_gpu")
def test_results_do_not_depend_on_other_searches_in_the_batch(unit_vectors, tmp_path):
    index = build_index(unit_vectors, IndexConfig(kind="ivf-pq", nlist=16), tmp_path)
    index.set_operating_point("nprobe=8,k_factor_rf=1")
    alone = [index.search(unit_vectors[n : n + 1], 5)[1][0].tolist() for n in range(100)]

    with ThreadPoolExecutor(16) as threads:
        wide = [threads.submit(index.search, unit_vectors[:1], 500) for _ in range(50)]
        found = list(threads.map(lambda n: index.search(unit_vectors[n : n + 1], 5)[1], range(100)))

    assert [rows[0].tolist() for rows in found] == alone
    assert all(one.result()[1].shape == (1, 500) for one in wide)


@pytest.mark.usefixtures("one_gpu")
def test_training_that_fails_on_a_gpu_falls_back_to_the_cpu(
    unit_vectors, tmp_path, monkeypatch, caplog
):
    def refuse(index):
        raise RuntimeError("out of memory")

    monkeypatch.setattr("index.faiss_store.build.to_first", refuse)
    index = build_index(unit_vectors, IndexConfig(kind="ivf-pq", nlist=16), tmp_path)

    assert index.search(unit_vectors[:1], 5)[1][0, 0] == 0
    assert "out of memory" in caplog.text


@pytest.mark.usefixtures("one_gpu")
def test_the_thread_and_the_gpu_copy_end_with_the_index(unit_vectors):
    stored = load_faiss().IndexFlatIP(16)
    stored.add(unit_vectors)
    index = GpuIndex(stored, "auto")
    owner = index._index
    index.search(unit_vectors[:1], 5)
    thread = owner.threads.pop()
    assert thread.is_alive()

    del index
    gc.collect()

    thread.join(5)
    assert not thread.is_alive()
    assert len(gc.get_referrers(owner)) <= 1


@pytest.mark.usefixtures("one_gpu")
@pytest.mark.parametrize("kind", ["exact", "ivf-pq", "ivf-sq", "ivf-flat"])
def test_a_loaded_index_is_searched_on_the_gpu_at_its_operating_point(kind, unit_vectors, tmp_path):
    config = IndexConfig(kind=kind, nlist=16)
    built = build_index(unit_vectors, config, tmp_path)
    point = {"exact": "", "ivf-pq": "nprobe=3,k_factor_rf=4"}.get(kind, "nprobe=3")
    built.set_operating_point(point)
    built.save(tmp_path)

    index = FaissStore.load(tmp_path)

    alone = FaissStore.load(tmp_path, "none")
    found, expected = index.search(unit_vectors[:40], 10), alone.search(unit_vectors[:40], 10)
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_array_equal(built.search(unit_vectors[:40], 10)[1], expected[1])
    assert on_gpu(index).batches == on_gpu(built).batches == [40]
    assert alone._on_gpus is None


@pytest.mark.usefixtures("one_gpu")
@pytest.mark.parametrize("kind", ["exact", "ivf-pq", "ivf-sq"])
def test_a_k_too_large_for_a_gpu_is_searched_on_the_cpu(kind, unit_vectors, tmp_path):
    wide = np.concatenate([unit_vectors, -unit_vectors])
    index = build_index(wide, IndexConfig(kind=kind, nlist=4), tmp_path)
    index.set_operating_point(
        {"exact": "", "ivf-pq": "nprobe=4,k_factor_rf=2"}.get(kind, "nprobe=4")
    )
    most = WIDEST // (2 if kind == "ivf-pq" else 1)

    assert index._on_gpus.widest == most
    assert len(set(index.search(wide[:1], most)[1][0])) == most
    assert on_gpu(index).batches == [1]
    assert len(set(index.search(wide[:1], most + 1)[1][0])) == most + 1
    assert on_gpu(index).batches == [1]


@pytest.mark.usefixtures("one_gpu")
def test_an_nprobe_too_large_for_a_gpu_falls_back_to_the_cpu_with_a_warning(
    unit_vectors, tmp_path, caplog
):
    index = build_index(unit_vectors, IndexConfig(kind="ivf-sq", nlist=16), tmp_path)

    index.set_operating_point("nprobe=4000")

    assert index._on_gpus is None
    assert "nprobe must be at most 2048 on a GPU, got 4000" in caplog.text
    assert index.search(unit_vectors[:1], 5)[1][0, 0] == 0


def test_an_index_without_gpu_support_is_searched_on_the_cpu_with_a_warning(
    unit_vectors, tmp_path, monkeypatch, caplog
):
    def refuse(*_):
        raise RuntimeError("not implemented on GPU")

    monkeypatch.setattr(gpus, "gpu_count", lambda: 1)
    monkeypatch.setattr(gpus, "cloned", refuse)

    index = build_index(unit_vectors, IndexConfig(kind="hnsw"), tmp_path)

    assert index.search(unit_vectors[:1], 5)[1][0, 0] == 0
    assert "not implemented on GPU" in caplog.text


@pytest.mark.parametrize(
    ("option", "warned"), [("auto", False), ("none", False), ("replicas", True), ("shards", True)]
)
def test_missing_gpus_are_warned_about_only_if_they_were_required(
    option, warned, unit_vectors, tmp_path, caplog
):
    if gpus.gpu_count():
        pytest.skip("there are some")
    index = build_index(unit_vectors, IndexConfig(gpus=option), tmp_path)

    assert index.search(unit_vectors[:1], 5)[1][0, 0] == 0
    assert ("FAISS sees no GPU" in caplog.text) == warned


@pytest.mark.usefixtures("one_gpu")
def test_gpus_none_leaves_the_gpus_unused(unit_vectors, tmp_path):
    config = IndexConfig(exact_up_to=100, gpus="none")

    assert chosen_kind(config, 101, 16) == "ivf-pq"
    assert build_index(unit_vectors, config, tmp_path)._on_gpus is None


@pytest.mark.parametrize("kind", ["ivf-sq", "ivf-flat"])
@pytest.mark.parametrize("in_shards", [False, True])
def test_adding_items_on_a_gpu_gives_the_same_index_as_on_the_cpu(
    kind, in_shards, unit_vectors, tmp_path, request
):
    if in_shards:
        request.getfixturevalue("short_of_memory")
    built = {}
    for gpu in (False, True):
        if gpu:
            request.getfixturevalue("one_gpu")
        folder = tmp_path / str(gpu)
        folder.mkdir()
        config = IndexConfig(kind=kind, nlist=16, gpus="auto" if gpu else "none")
        index = build_index(unit_vectors, config, folder)
        index.set_operating_point("nprobe=5")
        index.save(folder)
        built[gpu] = FaissStore.load(folder, "none")

    for one, other in zip(
        *(index.search(unit_vectors[:30], 10) for index in built.values()), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(
        built[True].vectors(np.array([7, 1999])), built[False].vectors(np.array([7, 1999]))
    )


@pytest.mark.usefixtures("one_gpu")
def test_a_gpu_that_runs_out_of_memory_while_adding_loses_no_item(
    unit_vectors, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr("index.vectors.BLOCK", 4 * 16 * 300)

    class Full:
        ntotal = 0

        def add(self, block):
            self.ntotal += len(block)
            if self.ntotal > 1000:
                raise RuntimeError("cudaMalloc error out of memory")

    clones = []

    def to_first(index):
        if not index.is_trained or index.ntotal or not clones:
            clones.append(index)
            return load_faiss().clone_index(index)
        return Full()

    monkeypatch.setattr("index.faiss_store.build.to_first", to_first)
    index = build_index(unit_vectors, IndexConfig(kind="ivf-sq", nlist=16), tmp_path)
    index.set_operating_point("nprobe=16")

    assert "out of memory" in caplog.text
    assert len(index) == 2000
    np.testing.assert_array_equal(index.search(unit_vectors, 1)[1].ravel(), np.arange(2000))


@pytest.mark.usefixtures("one_gpu")
def test_product_quantisers_on_a_gpu_have_codes_that_it_supports(tmp_path):
    faiss, rng = load_faiss(), np.random.default_rng(0)
    for dimension, codes in ((384, 96), (128, 64), (10, 1), (7, None)):
        vectors = rng.standard_normal((1000, dimension)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        index = build_index(vectors, IndexConfig(kind="ivf-pq", nlist=4), tmp_path)
        base = faiss.downcast_index(index._stored.base_index)

        if codes is None:  # GPUs support no code width that divides this dimension
            assert isinstance(base, faiss.IndexIVFPQFastScan)
            continue
        assert isinstance(base, faiss.IndexIVFPQ)
        assert (base.pq.M, base.pq.nbits) == (codes, 8)
        index.set_operating_point("nprobe=4,k_factor_rf=10")
        assert (index.search(vectors, 1)[1].ravel() == np.arange(1000)).mean() > 0.9


@pytest.mark.usefixtures("one_gpu")
def test_auto_on_a_gpu_stores_fp16_vectors_and_is_tuned_there(unit_vectors, tmp_path):
    config = IndexConfig(exact_up_to=100, nlist=16)

    index = build_index(unit_vectors, config, tmp_path)
    point, points = tune(index, config, unit_vectors, unit_vectors[:100])

    assert chosen_kind(config, 2000, 16) == "ivf-sq"
    assert point.recall >= 0.98
    assert sum(on_gpu(index).batches) == len(points) * 200


def test_cagra_without_cuvs_builds_hnsw_with_a_warning(unit_vectors, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("index.faiss_store.build.builds_graphs", lambda: False)
    config = IndexConfig(kind="cagra")

    index = build_index(unit_vectors, config, tmp_path)

    assert chosen_kind(config, 2000, 16) == "hnsw"
    assert "building 'hnsw', because 'cagra' needs a GPU with cuVS" in caplog.text
    assert index.search(unit_vectors[:1], 5)[1][0, 0] == 0


def test_a_cuvs_graph_copied_to_the_cpu_is_saved_searched_and_filtered(unit_vectors, tmp_path):
    from pyroaring import BitMap

    faiss = load_faiss()
    graph = faiss.IndexHNSWCagra(16, 32, faiss.METRIC_INNER_PRODUCT)
    graph.add(unit_vectors)
    graph.base_level_only = True  # as in a graph that a GPU built
    FaissStore(graph, "none").save(tmp_path)

    index = FaissStore.load(tmp_path, "none")
    index.set_operating_point("efSearch=500")

    truth = np.argsort(-unit_vectors[:50] @ unit_vectors.T, axis=1)[:, :10]
    _, rows = index.search(unit_vectors[:50], 10)
    assert np.mean([np.isin(a, b).mean() for a, b in zip(truth, rows, strict=True)]) > 0.95
    allowed = BitMap(range(0, 2000, 3))
    _, among = index.search_among(unit_vectors[1], 10, allowed)
    assert set(among.tolist()) <= set(allowed)
    assert len(among) == 10

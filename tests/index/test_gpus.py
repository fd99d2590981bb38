"""What GPUs would do, with copies on the CPU in their place; `test_on_gpu.py` needs real ones."""

import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from index import gpus
from index.build import build_index, chosen_kind
from index.config import IndexConfig
from index.gpus import WIDEST, OnGPUs
from index.installation import load_faiss
from index.item_index import ItemIndex
from index.stage import tuned
from tests.rounding import rounding


class Pretended:
    """A copy that notes who searches it, and is as deaf to selectors as a GPU."""

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
    """`GpuParameterSpace`, of a box with a GPU."""

    def set_index_parameters(self, index, parameters):
        index.threads.add(threading.current_thread())
        load_faiss().ParameterSpace().set_index_parameters(index.index, parameters)


@pytest.fixture
def one_gpu(monkeypatch):
    monkeypatch.setattr(gpus, "gpu_count", lambda: 1)
    monkeypatch.setattr(gpus, "cloned", lambda index, _: Pretended(index))
    monkeypatch.setattr(load_faiss(), "GpuParameterSpace", Parameters, raising=False)
    monkeypatch.setattr("index.build.to_first", lambda index: load_faiss().clone_index(index))
    monkeypatch.setattr("index.build.to_cpu", lambda index: index)


@pytest.fixture
def short_of_memory(monkeypatch):
    monkeypatch.setattr("index.build._items_within", lambda *_: 600)


def on_gpu(index):
    return index._on_gpus._index


def test_one_thread_alone_searches_for_all_who_wait_and_each_gets_its_own(one_gpu, unit_vectors):
    stored = load_faiss().IndexFlatIP(16)
    stored.add(unit_vectors)
    index = OnGPUs(stored, "auto")

    def ask(place):
        rows = slice(place, place + 1 + place % 3)
        k = (5, 17)[place % 2]
        return index.search(unit_vectors[rows], k), stored.search(unit_vectors[rows], k)

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(ask, range(300)))

    for found, expected in answers:
        np.testing.assert_array_equal(found[1], expected[1])
        np.testing.assert_allclose(found[0], expected[0], atol=rounding(1, terms=16))
    pretended = index._index
    assert len(pretended.threads) == 1
    assert threading.main_thread() not in pretended.threads
    assert len(pretended.batches) < 150
    assert sum(pretended.batches) == sum(1 + place % 3 for place in range(300))


@pytest.mark.usefixtures("one_gpu")
def test_who_waited_for_a_search_that_failed_is_told_and_the_next_is_answered(unit_vectors):
    stored = load_faiss().IndexFlatIP(16)
    stored.add(unit_vectors)
    index = OnGPUs(stored, "auto")
    index._index.fails = RuntimeError("out of memory")

    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(index.search, unit_vectors[:1], 5) for _ in range(8)]
    assert all("out of memory" in str(one.exception()) for one in asked)

    index._index.fails = None
    assert index.search(unit_vectors[:1], 5)[1][0, 0] == 0


@pytest.mark.usefixtures("one_gpu")
def test_a_search_that_a_gpu_has_no_room_for_is_done_on_the_cpu(unit_vectors, tmp_path, caplog):
    index = build_index(unit_vectors, IndexConfig(), tmp_path)
    on_gpu(index).fails = RuntimeError("out of memory")

    assert index.search(unit_vectors[:2], 5)[1][:, 0].tolist() == [0, 1]
    assert "out of memory" in caplog.text


@pytest.mark.usefixtures("one_gpu")
def test_what_is_found_hangs_on_the_query_alone_not_on_who_waits_beside_it(unit_vectors, tmp_path):
    index = build_index(unit_vectors, IndexConfig(kind="ivf-pq", nlist=16), tmp_path)
    index.set_operating_point("nprobe=8,k_factor_rf=1")
    alone = [index.search(unit_vectors[n : n + 1], 5)[1][0].tolist() for n in range(100)]

    with ThreadPoolExecutor(16) as threads:
        wide = [threads.submit(index.search, unit_vectors[:1], 500) for _ in range(50)]
        found = list(threads.map(lambda n: index.search(unit_vectors[n : n + 1], 5)[1], range(100)))

    assert [rows[0].tolist() for rows in found] == alone
    assert all(one.result()[1].shape == (1, 500) for one in wide)


@pytest.mark.usefixtures("one_gpu")
def test_lists_whose_centres_a_gpu_fails_to_find_are_found_by_the_cpu(
    unit_vectors, tmp_path, monkeypatch, caplog
):
    def refuse(index):
        raise RuntimeError("out of memory")

    monkeypatch.setattr("index.build.to_first", refuse)
    index = build_index(unit_vectors, IndexConfig(kind="ivf-pq", nlist=16), tmp_path)

    assert index.search(unit_vectors[:1], 5)[1][0, 0] == 0
    assert "out of memory" in caplog.text


@pytest.mark.usefixtures("one_gpu")
def test_the_thread_and_the_copy_go_with_the_index(unit_vectors):
    stored = load_faiss().IndexFlatIP(16)
    stored.add(unit_vectors)
    index = OnGPUs(stored, "auto")
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
def test_an_index_is_searched_where_it_lies_at_its_operating_point(kind, unit_vectors, tmp_path):
    config = IndexConfig(kind=kind, nlist=16)
    built = build_index(unit_vectors, config, tmp_path)
    point = {"exact": "", "ivf-pq": "nprobe=3,k_factor_rf=4"}.get(kind, "nprobe=3")
    built.set_operating_point(point)
    built.save(tmp_path)

    index = ItemIndex.load(tmp_path)

    alone = ItemIndex.load(tmp_path, "none")
    found, expected = index.search(unit_vectors[:40], 10), alone.search(unit_vectors[:40], 10)
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_array_equal(built.search(unit_vectors[:40], 10)[1], expected[1])
    assert on_gpu(index).batches == on_gpu(built).batches == [40]
    assert alone._on_gpus is None


@pytest.mark.usefixtures("one_gpu")
@pytest.mark.parametrize("kind", ["exact", "ivf-pq", "ivf-sq"])
def test_a_search_that_is_too_wide_for_a_gpu_is_done_on_the_cpu(kind, unit_vectors, tmp_path):
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
def test_what_is_too_hard_for_a_gpu_is_done_on_the_cpu_with_a_warning(
    unit_vectors, tmp_path, caplog
):
    index = build_index(unit_vectors, IndexConfig(kind="ivf-sq", nlist=16), tmp_path)

    index.set_operating_point("nprobe=4000")

    assert index._on_gpus is None
    assert "a GPU looks at 2048 at most, asked for 4000" in caplog.text
    assert index.search(unit_vectors[:1], 5)[1][0, 0] == 0


def test_what_no_gpu_can_hold_is_searched_on_the_cpu_with_a_warning(
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
    ("asked", "warned"), [("auto", False), ("none", False), ("replicas", True), ("shards", True)]
)
def test_gpus_that_are_not_there_are_missed_only_when_they_were_asked_for(
    asked, warned, unit_vectors, tmp_path, caplog
):
    if gpus.gpu_count():
        pytest.skip("there are some")
    index = build_index(unit_vectors, IndexConfig(gpus=asked), tmp_path)

    assert index.search(unit_vectors[:1], 5)[1][0, 0] == 0
    assert ("FAISS sees no GPU" in caplog.text) == warned


@pytest.mark.usefixtures("one_gpu")
def test_gpus_that_are_left_to_the_models_are_not_touched(unit_vectors, tmp_path):
    config = IndexConfig(exact_up_to=100, gpus="none")

    assert chosen_kind(config, 101, 16) == "ivf-pq"
    assert build_index(unit_vectors, config, tmp_path)._on_gpus is None


@pytest.mark.parametrize("kind", ["ivf-sq", "ivf-flat"])
@pytest.mark.parametrize("in_shards", [False, True])
def test_what_a_gpu_adds_is_what_the_cpu_adds(kind, in_shards, unit_vectors, tmp_path, request):
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
        built[gpu] = ItemIndex.load(folder, "none")

    for one, other in zip(
        *(index.search(unit_vectors[:30], 10) for index in built.values()), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(
        built[True].vectors(np.array([7, 1999])), built[False].vectors(np.array([7, 1999]))
    )


@pytest.mark.usefixtures("one_gpu")
def test_a_gpu_that_runs_out_of_memory_leaves_nothing_out(
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

    monkeypatch.setattr("index.build.to_first", to_first)
    index = build_index(unit_vectors, IndexConfig(kind="ivf-sq", nlist=16), tmp_path)
    index.set_operating_point("nprobe=16")

    assert "out of memory" in caplog.text
    assert len(index) == 2000
    np.testing.assert_array_equal(index.search(unit_vectors, 1)[1].ravel(), np.arange(2000))


@pytest.mark.usefixtures("one_gpu")
def test_on_a_gpu_codes_are_those_that_it_searches(tmp_path):
    faiss, rng = load_faiss(), np.random.default_rng(0)
    for dimension, codes in ((384, 96), (128, 64), (10, 1), (7, None)):
        vectors = rng.standard_normal((1000, dimension)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        index = build_index(vectors, IndexConfig(kind="ivf-pq", nlist=4), tmp_path)
        base = faiss.downcast_index(index._stored.base_index)

        if codes is None:  # no GPU has codes for such a dimension
            assert isinstance(base, faiss.IndexIVFPQFastScan)
            continue
        assert isinstance(base, faiss.IndexIVFPQ)
        assert (base.pq.M, base.pq.nbits) == (codes, 8)
        index.set_operating_point("nprobe=4,k_factor_rf=10")
        assert (index.search(vectors, 1)[1].ravel() == np.arange(1000)).mean() > 0.9


@pytest.mark.usefixtures("one_gpu")
def test_auto_on_a_gpu_holds_fp16_vectors_and_is_tuned_there(unit_vectors, tmp_path):
    config = IndexConfig(exact_up_to=100, nlist=16)

    index = build_index(unit_vectors, config, tmp_path)
    point, points = tuned(index, config, unit_vectors, unit_vectors[:100])

    assert chosen_kind(config, 2000, 16) == "ivf-sq"
    assert point.recall >= 0.98
    assert sum(on_gpu(index).batches) == len(points) * 200


def test_without_cuvs_a_graph_of_the_cpus_is_built_with_a_warning(
    unit_vectors, tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr("index.build.builds_graphs", lambda: False)
    config = IndexConfig(kind="cagra")

    index = build_index(unit_vectors, config, tmp_path)

    assert chosen_kind(config, 2000, 16) == "hnsw"
    assert "'hnsw' is built, for no GPU with cuVS builds 'cagra'" in caplog.text
    assert index.search(unit_vectors[:1], 5)[1][0, 0] == 0


def test_the_cpus_form_of_a_graph_of_cuvs_is_saved_searched_and_filtered(unit_vectors, tmp_path):
    from pyroaring import BitMap

    faiss = load_faiss()
    graph = faiss.IndexHNSWCagra(16, 32, faiss.METRIC_INNER_PRODUCT)
    graph.add(unit_vectors)
    graph.base_level_only = True  # as what comes from a GPU
    ItemIndex(graph, "none").save(tmp_path)

    index = ItemIndex.load(tmp_path, "none")
    index.set_operating_point("efSearch=500")

    truth = np.argsort(-unit_vectors[:50] @ unit_vectors.T, axis=1)[:, :10]
    _, rows = index.search(unit_vectors[:50], 10)
    assert np.mean([np.isin(a, b).mean() for a, b in zip(truth, rows, strict=True)]) > 0.95
    allowed = BitMap(range(0, 2000, 3))
    _, among = index.search_among(unit_vectors[1], 10, allowed)
    assert set(among.tolist()) <= set(allowed)
    assert len(among) == 10

"""Compares index copies on real GPUs with the CPU; `make gpu-check` runs it."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from pyroaring import BitMap

from benchmarks.index.vectors import clustered
from index.config import IndexConfig
from index.faiss_store.build import build_index
from index.faiss_store.gpus import WIDEST_OF_GRAPH, cloned, to_cpu
from index.faiss_store.installation import builds_graphs, gpu_count, load_faiss
from index.faiss_store.store import FaissStore
from index.stage import tune
from tests.rounding import rounding

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(gpu_count() == 0, reason="needs faiss-gpu and a CUDA GPU"),
]
SIZE, DIMENSION, CENTRES = 20_000, 64, 40
POINTS = {
    "exact": "",
    "ivf-pq": "nprobe=20,k_factor_rf=4",
    "ivf-sq": "nprobe=20",
    "ivf-flat": "nprobe=20",
    "cagra": "efSearch=256",
}
KINDS = [
    pytest.param(
        kind, marks=pytest.mark.skipif(kind == "cagra" and not builds_graphs(), reason="no cuVS")
    )
    for kind in POINTS
]
LISTS = [kind for kind in POINTS if kind.startswith("ivf")]


@pytest.fixture(scope="module")
def vectors():
    return np.concatenate(list(clustered(CENTRES)(SIZE, DIMENSION, 1)))


@pytest.fixture(scope="module")
def queries():
    return np.concatenate(list(clustered(CENTRES)(200, DIMENSION, 2)))


@pytest.fixture(scope="module")
def built(vectors, tmp_path_factory):
    """Loads an index of a kind on the GPUs and on the CPU, at the same operating point."""
    made = {}

    def build(kind, gpus="auto"):
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp(kind)
            index = build_index(vectors, IndexConfig(kind=kind, nlist=100), made[kind])
            index.set_operating_point(POINTS[kind])
            index.save(made[kind])
        index = FaissStore.load(made[kind], gpus)
        assert index._on_gpus is not None
        return index, FaissStore.load(made[kind], "none")

    return build


def shared(one, other):
    return np.mean([np.isin(a, b).mean() for a, b in zip(one, other, strict=True)])


@pytest.mark.parametrize("kind", KINDS)
def test_gpu_search_finds_the_same_items_and_scores_as_cpu_search(kind, built, vectors, queries):
    on_gpu, on_cpu = built(kind)

    scores, rows = on_gpu.search(queries, 100)

    least = {"cagra": 0.9, "ivf-pq": 0.97}.get(kind, 0.995)
    expected = on_cpu.search(queries, 100)[1]
    assert shared(expected, rows) >= least
    assert rows.dtype == np.int64
    assert (np.diff(scores, axis=1) <= rounding(1, terms=vectors.shape[1])).all()
    products = np.einsum("qd,qkd->qk", queries, vectors[rows])
    # a vector, a query, their product and tables of codes may each be in fp16 there
    tolerance = rounding(1, terms=vectors.shape[1], stored=4, dtype=torch.float16)
    np.testing.assert_allclose(scores, products, atol=tolerance)


@pytest.mark.parametrize("kind", LISTS)
def test_an_index_built_by_a_gpu_recalls_as_much_as_one_built_by_the_cpu(
    kind, vectors, queries, tmp_path, built
):
    by_cpu = build_index(vectors, IndexConfig(kind=kind, nlist=100, gpus="none"), tmp_path)
    by_cpu.set_operating_point(POINTS[kind])
    truth = np.argsort(-queries @ vectors.T, axis=1)[:, :100]

    by_gpu = shared(truth, built(kind)[0].search(queries, 100)[1])

    assert by_gpu >= shared(truth, by_cpu.search(queries, 100)[1]) - 0.02


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.95, 0.3, 0.001])
def test_filtered_search_returns_only_allowed_rows(kind, share, built, vectors, queries):
    index, _ = built(kind)
    rows = np.flatnonzero(np.random.default_rng(2).random(SIZE) < share)
    allowed, recalled = BitMap(rows.tolist()), []

    for query in queries[:20]:
        _, found = index.search_among(query, 10, allowed)
        assert set(found.tolist()) <= set(allowed)
        assert len(found) == min(10, len(rows))
        best = rows[np.argsort(-vectors[rows] @ query)[:10]]
        recalled.append(np.isin(best, found).mean())

    assert np.mean(recalled) >= (0.9 if share > 0.9 and kind != "exact" else 0.98)


@pytest.mark.parametrize("kind", KINDS)
def test_results_do_not_depend_on_the_number_of_threads(kind, built, queries):
    index, _ = built(kind)
    alone = index.search(queries, 20)[1]

    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(lambda n: index.search(queries[n : n + 1], 20)[1][0], range(200)))

    assert shared(alone, found) >= (0.95 if kind == "cagra" else 0.999)


@pytest.mark.parametrize("kind", ["exact", *LISTS])
def test_a_k_too_large_for_a_gpu_is_searched_on_the_cpu(kind, built, queries):
    index, _ = built(kind)
    most = index._on_gpus.widest

    assert index.search(queries[:2], most)[1].shape == (2, most)
    assert index.search(queries[:2], most + 1)[1].shape == (2, most + 1)


@pytest.mark.skipif(not builds_graphs(), reason="no cuVS")
def test_a_graph_search_wider_than_a_thread_block_runs_on_the_cpu(built, queries):
    index, _ = built("cagra")

    for k in (1, 33, WIDEST_OF_GRAPH, WIDEST_OF_GRAPH + 1):
        assert index.search(queries[:2], k)[1].shape == (2, k)


@pytest.mark.parametrize("kind", ["exact", "ivf-sq", "ivf-flat"])
def test_copying_to_the_gpu_and_back_gives_the_same_index(kind, built, queries):
    _, on_cpu = built(kind)

    back = to_cpu(cloned(on_cpu._stored, "auto"))

    assert back.ntotal == SIZE
    expected, found = on_cpu._stored.search(queries, 50), back.search(queries, 50)
    assert shared(expected[1], found[1]) >= 0.999
    np.testing.assert_array_equal(
        back.reconstruct_n(0, 10) if kind == "exact" else found[0][:, 0],
        on_cpu._stored.reconstruct_n(0, 10) if kind == "exact" else expected[0][:, 0],
    )


def test_an_nprobe_too_large_for_a_gpu_falls_back_to_the_cpu(vectors, queries, tmp_path, caplog):
    index = build_index(vectors, IndexConfig(kind="ivf-sq", nlist=2500), tmp_path)

    index.set_operating_point("nprobe=2400")

    assert index._on_gpus is None
    assert "falling back to the CPU" in caplog.text
    assert index.search(queries, 5)[1].shape == (200, 5)


def test_an_index_built_in_shards_by_a_gpu_has_all_items(vectors, queries, tmp_path, monkeypatch):
    monkeypatch.setattr("index.faiss_store.build._items_within", lambda *_: 7000)
    index = build_index(vectors, IndexConfig(kind="ivf-sq", nlist=100), tmp_path)
    index.set_operating_point("nprobe=100")
    index.save(tmp_path)

    found = FaissStore.load(tmp_path).search(queries, 10)[1]

    assert shared(np.argsort(-queries @ vectors.T, axis=1)[:, :10], found) >= 0.99


@pytest.mark.parametrize("kind", KINDS)
def test_tuning_measures_the_gpu(kind, vectors, queries, tmp_path):
    target = 0.7 if kind == "cagra" else 0.9
    config = IndexConfig(kind=kind, nlist=100, target_recall=target)
    index = build_index(vectors, config, tmp_path)

    point, points = tune(index, config, vectors, queries)

    assert index._on_gpus is not None
    assert point.recall >= target
    assert points


@pytest.mark.skipif(gpu_count() < 2, reason="needs two GPUs")
@pytest.mark.parametrize("spread", ["replicas", "shards"])
@pytest.mark.parametrize("kind", ["exact", *LISTS])
def test_several_gpus_find_the_same_items_as_the_cpu(spread, kind, built, queries):
    index, on_cpu = built(kind, spread)

    assert shared(on_cpu.search(queries, 100)[1], index.search(queries, 100)[1]) >= 0.97
    many = index._on_gpus._index
    if kind != "ivf-pq":
        faiss = load_faiss()
        assert isinstance(many, faiss.IndexShards if spread == "shards" else faiss.IndexReplicas)
        assert many.count() == gpu_count()

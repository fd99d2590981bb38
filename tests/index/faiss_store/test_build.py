import os
import subprocess
import sys
from dataclasses import replace

import faiss
import numpy as np
import pytest
import torch

from index.config import IndexConfig
from index.faiss_store import build
from index.faiss_store.build import build_index, chosen_kind
from index.faiss_store.installation import load_faiss
from index.faiss_store.store import FaissStore
from tests.rounding import rounding

pytestmark = pytest.mark.numeric

KINDS = ["exact", "ivf-pq", "ivf-sq", "ivf-flat", "hnsw"]
EXHAUSTIVE = {
    "exact": "",
    "ivf-pq": "nprobe=16,k_factor_rf=200",
    "ivf-sq": "nprobe=16",
    "ivf-flat": "nprobe=16",
    "hnsw": "efSearch=2000",
}


def exact(queries, corpus, k):
    return np.argsort(-queries @ corpus.T, axis=1, kind="stable")[:, :k]


def shared(found, truth):
    return np.mean([np.isin(a, b).mean() for a, b in zip(truth, found, strict=True)])


@pytest.fixture
def few_blocks(monkeypatch):
    monkeypatch.setattr("index.vectors.BLOCK", 4 * 16 * 300)  # seven blocks of 2,000 items


@pytest.mark.parametrize("kind", KINDS)
def test_exhaustive_search_of_every_kind_equals_exact_search_up_to_fp16(
    unit_vectors, kind, tmp_path
):
    index = build_index(unit_vectors, IndexConfig(kind=kind, nlist=16), tmp_path)
    index.set_operating_point(EXHAUSTIVE[kind])

    scores, rows = index.search(unit_vectors[:50], 10)

    assert shared(rows, exact(unit_vectors[:50], unit_vectors, 10)) > 0.99
    tolerance = rounding(1, terms=16, stored=1, dtype=torch.float16)
    np.testing.assert_allclose(scores[:, 0], 1, atol=tolerance)
    assert len(index) == 2000


@pytest.mark.parametrize("kind", ["exact", "ivf-pq", "ivf-sq"])
def test_building_from_blocks_of_a_memory_map_gives_the_same_index(
    unit_vectors, kind, tmp_path, request
):
    config = IndexConfig(kind=kind, nlist=16)
    whole = build_index(unit_vectors, config, tmp_path)
    np.save(tmp_path / "vectors.npy", unit_vectors)
    request.getfixturevalue("few_blocks")

    blocks = build_index(np.load(tmp_path / "vectors.npy", mmap_mode="r"), config, tmp_path)

    for one, other in zip(
        whole.search(unit_vectors[:50], 20), blocks.search(unit_vectors[:50], 20), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_half_precision_embeddings_are_accepted(unit_vectors, tmp_path):
    index = build_index(unit_vectors.astype(np.float16), IndexConfig(), tmp_path)

    np.testing.assert_array_equal(index.search(unit_vectors[:9], 1)[1][:, 0], range(9))


@pytest.fixture
def short_of_memory(monkeypatch):
    monkeypatch.setattr(build, "_items_within", lambda *_: 600)
    return IndexConfig(kind="ivf-sq", nlist=16)


def test_an_index_built_in_shards_on_disk_answers_like_one_built_in_memory(
    unit_vectors, tmp_path, request
):
    whole = build_index(unit_vectors, IndexConfig(kind="ivf-sq", nlist=16), tmp_path)
    assert not list(tmp_path.iterdir())

    build_index(unit_vectors, request.getfixturevalue("short_of_memory"), tmp_path).save(tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == {
        "index.faiss",
        "index.faiss_store.disk_lists",
    }
    moved = tmp_path.rename(tmp_path.with_name("published"))
    sharded = FaissStore.load(moved)
    for parameters in ("nprobe=3", "nprobe=16"):
        whole.set_operating_point(parameters)
        sharded.set_operating_point(parameters)
        for one, other in zip(
            whole.search(unit_vectors[:50], 20), sharded.search(unit_vectors[:50], 20), strict=True
        ):
            np.testing.assert_array_equal(one, other)
    rows = np.array([0, 1999, 700])
    np.testing.assert_array_equal(sharded.vectors(rows), whole.vectors(rows))


@pytest.mark.parametrize("target", ["LISTS", "shard"])
def test_a_disk_that_fills_up_during_the_build_raises(
    unit_vectors, tmp_path, short_of_memory, monkeypatch, target
):
    if target == "LISTS":
        monkeypatch.setattr(build, "LISTS", "/dev/full")
    else:
        (tmp_path / "shard-1.faiss").symlink_to("/dev/full")

    with pytest.raises(OSError, match="No space left"):
        build_index(unit_vectors, short_of_memory, tmp_path)


def test_lists_on_disk_are_searched_from_a_read_only_file(unit_vectors, tmp_path, short_of_memory):
    build_index(unit_vectors, short_of_memory, tmp_path).save(tmp_path)
    (tmp_path / build.LISTS).chmod(0o444)

    loaded = FaissStore.load(tmp_path)

    lists = faiss.downcast_InvertedLists(loaded._stored.invlists)
    assert lists.read_only
    assert loaded.search(unit_vectors[:3], 1)[1].ravel().tolist() == [0, 1, 2]


@pytest.mark.parametrize("kind", ["exact", "ivf-pq", "hnsw"])
def test_a_corpus_beyond_the_memory_budget_is_refused_with_the_memory_it_needs(
    unit_vectors, kind, tmp_path, short_of_memory
):
    config = replace(short_of_memory, kind=kind)

    with pytest.raises(ValueError, match=r"memory_gib must be at least 0\.6 .* got 8\.0.*ivf-sq"):
        build_index(unit_vectors, config, tmp_path)


def test_auto_depends_on_the_corpus_the_memory_budget_and_the_gpus(monkeypatch):
    monkeypatch.setattr("index.faiss_store.gpus.gpu_count", lambda: 0)
    assert chosen_kind(IndexConfig(exact_up_to=100), 100, 16) == "exact"
    assert chosen_kind(IndexConfig(exact_up_to=100), 101, 16) == "ivf-pq"
    assert chosen_kind(IndexConfig(memory_gib=1), 5_000_000, 128) == "ivf-sq"
    assert chosen_kind(IndexConfig(kind="hnsw"), 100, 16) == "hnsw"
    monkeypatch.setattr("index.faiss_store.gpus.gpu_count", lambda: 1)
    assert chosen_kind(IndexConfig(exact_up_to=100), 101, 16) == "ivf-sq"


@pytest.mark.parametrize("dimension", [1, 3, 7, 15])
def test_dimensions_without_a_divisor_are_indexed(dimension, tmp_path):
    vectors = np.random.default_rng(0).normal(size=(300, dimension)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    index = build_index(vectors, IndexConfig(kind="ivf-pq", nlist=4), tmp_path)

    assert index.dimension == dimension
    assert index.search(vectors[:2], 5)[1].shape == (2, 5)


def test_too_few_items_for_product_quantisation_are_refused(unit_vectors, tmp_path):
    with pytest.raises(ValueError, match="at least 16 rows for 'ivf-pq', got 15"):
        build_index(unit_vectors[:15], IndexConfig(kind="ivf-pq"), tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_items_with_equal_vectors_are_all_found(unit_vectors, kind, tmp_path):
    twice = np.concatenate([unit_vectors[:500], unit_vectors[:500]])
    index = build_index(twice, IndexConfig(kind=kind, nlist=4), tmp_path)
    index.set_operating_point(EXHAUSTIVE[kind].replace("16", "4"))

    _, rows = index.search(unit_vectors[:20], 2)

    np.testing.assert_array_equal(np.sort(rows), np.stack([np.arange(20), np.arange(500, 520)], 1))


def with_row(vectors, row, value):
    changed = vectors.copy()
    changed[row] = value
    return changed


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda v: with_row(v, 1500, 1), r"length 1, got 4\.000 in row 1500"),
        (lambda v: with_row(v, 1500, np.nan), "finite.*row 1500"),
        (lambda v: with_row(v, 0, np.inf), "finite.*row 0"),
        (lambda v: with_row(v, 1999, 0), r"length 1, got 0\.000 in row 1999"),
        (lambda v: v[:0], "not empty"),
        (lambda v: v[0], r"\(n, dimension\)"),
    ],
)
def test_bad_embeddings_are_refused_by_name_and_row(
    unit_vectors, spoil, rule, tmp_path, few_blocks
):
    with pytest.raises(ValueError, match=rule):
        build_index(spoil(unit_vectors), IndexConfig(kind="ivf-pq", nlist=4), tmp_path)


def test_blas_is_used_for_large_batches_of_exact_search():
    assert load_faiss().cvar.distance_compute_blas_threshold == 3000


@pytest.mark.slow
def test_building_stays_within_the_memory_budget(tmp_path):
    shape = (1_000_000, 64)
    vectors = np.lib.format.open_memmap(tmp_path / "v.npy", "w+", np.float32, shape)
    rng = np.random.default_rng(0)
    for start in range(0, shape[0], 100_000):
        block = rng.standard_normal((100_000, 64), dtype=np.float32)
        vectors[start : start + 100_000] = block / np.linalg.norm(block, axis=1, keepdims=True)
    script = f"""
import numpy as np, pathlib
from index.faiss_store.build import build_index
from index.config import IndexConfig
folder = pathlib.Path({str(tmp_path)!r})
config = IndexConfig(nlist=256, memory_gib={{}})
build_index(np.load(folder / "v.npy", mmap_mode="r"), config, folder).save(folder)
print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
"""
    for gib, files in (
        (0.75, {"index.faiss", "index.faiss_store.disk_lists"}),
        (1.0, {"index.faiss"}),
    ):
        for path in tmp_path.glob("index.*"):
            path.unlink()
        done = subprocess.run(
            [sys.executable, "-c", script.format(gib)],
            env={**os.environ, "PYTHONPATH": "."},
            capture_output=True,
            text=True,
            check=True,
        )
        assert int(done.stdout) / 2**20 < gib
        assert {path.name for path in tmp_path.glob("index.*")} == files

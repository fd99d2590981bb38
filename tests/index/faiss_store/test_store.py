import numpy as np
import pytest
import torch

from index.config import IndexConfig
from index.faiss_store.build import build_index
from index.faiss_store.installation import load_faiss
from index.faiss_store.store import FaissStore
from lineage.manifest import CorruptArtifactError
from tests.rounding import rounding

pytestmark = pytest.mark.numeric

KINDS = ["exact", "ivf-pq", "ivf-sq", "ivf-flat", "hnsw"]


def test_an_exact_index_finds_the_largest_inner_products(unit_vectors, tmp_path):
    index = build_index(unit_vectors, IndexConfig(kind="exact"), tmp_path)

    scores, rows = index.search(unit_vectors[:50], 10)

    product = unit_vectors[:50] @ unit_vectors.T
    np.testing.assert_array_equal(rows, np.argsort(-product, axis=1, kind="stable")[:, :10])
    np.testing.assert_allclose(scores[:, 0], 1, atol=rounding(1, terms=16))


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("exact", ""),
        ("ivf-pq", "nprobe=3,k_factor_rf=4"),
        ("ivf-sq", "nprobe=3"),
        ("ivf-flat", "nprobe=3"),
        ("hnsw", "efSearch=20"),
    ],
)
def test_a_saved_index_answers_as_before_at_its_operating_point(
    unit_vectors, tmp_path, kind, parameters
):
    index = build_index(unit_vectors, IndexConfig(kind=kind, nlist=16), tmp_path)
    untuned = index.search(unit_vectors[:50], 17)[1]
    index.set_operating_point(parameters)
    index.save(tmp_path)

    before, after = (
        each.search(unit_vectors[:50], 17) for each in (index, FaissStore.load(tmp_path))
    )

    np.testing.assert_array_equal(before[1], after[1])
    np.testing.assert_array_equal(before[0], after[0])
    assert kind == "exact" or (after[1] != untuned).any()


@pytest.mark.parametrize("kind", KINDS)
def test_stored_vectors_are_returned_by_row(unit_vectors, kind, tmp_path):
    index = build_index(unit_vectors, IndexConfig(kind=kind, nlist=16), tmp_path)

    expected = unit_vectors[[5, 3]]
    tolerance = rounding(expected, terms=1, stored=1, dtype=torch.float16)
    np.testing.assert_allclose(index.vectors(np.array([5, 3])), expected, atol=tolerance)
    assert index.vectors(np.empty(0, np.int32)).shape == (0, 16)
    for rows in ([-1], [3, 2000]):
        with pytest.raises(ValueError, match=r"rows must be in \[0, 2000\)"):
            index.vectors(np.array(rows))


@pytest.mark.parametrize("kind", ["ivf-pq", "ivf-sq"])
def test_unvisited_lists_leave_row_minus_one(kind, tmp_path):
    vectors = np.eye(16, dtype=np.float32)
    index = build_index(vectors, IndexConfig(kind=kind, nlist=16), tmp_path)
    index.set_operating_point("nprobe=1")

    _, rows = index.search(vectors[:1], 8)

    assert rows[0, 0] == 0
    assert (rows[0] == -1).any()


def test_invalid_searches_are_refused_by_name(unit_vectors, tmp_path):
    index = build_index(unit_vectors, IndexConfig(), tmp_path)

    with pytest.raises(ValueError, match="dimension 16, got 3"):
        index.search(np.ones((1, 3), np.float32), 5)
    with pytest.raises(ValueError, match=r"finite.*row 1"):
        index.search(np.array([[0.25] * 16, [np.nan] * 16], np.float32), 5)
    for k in (0, 2001):
        with pytest.raises(ValueError, match=rf"k must be in \[1, 2000\], got {k}"):
            index.search(unit_vectors[:1], k)


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [("hnsw", "nprobe=4"), ("ivf-sq", "efSearch=4"), ("exact", "nprobe=4"), ("ivf-pq", "nonsense")],
)
def test_parameters_of_another_kind_are_refused(unit_vectors, kind, parameters, tmp_path):
    index = build_index(unit_vectors, IndexConfig(kind=kind, nlist=16), tmp_path)

    with pytest.raises(ValueError, match=f"operating_point must be .* got '{parameters}'"):
        index.set_operating_point(parameters)


def test_a_single_query_uses_one_thread_and_restores_the_thread_count(unit_vectors, tmp_path):
    faiss, seen = load_faiss(), []

    class Watched:
        d, ntotal = 16, 2000

        def search(self, queries, k):
            seen.append(faiss.omp_get_max_threads())
            return np.empty((len(queries), k)), np.empty((len(queries), k))

    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(3)
    try:
        FaissStore(Watched(), "none").search(unit_vectors[:1], 5)
        FaissStore(Watched(), "none").search(unit_vectors[:2], 5)
    finally:
        faiss.omp_set_num_threads(threads)
    assert seen == [1, 3]


def test_a_disk_that_is_full_at_the_last_bytes_raises(unit_vectors, monkeypatch, tmp_path):
    index = build_index(unit_vectors[:10], IndexConfig(), tmp_path)
    monkeypatch.setattr("index.faiss_store.store.FAISS_INDEX", "/dev/full")

    with pytest.raises(OSError, match="No space left"):
        index.save(tmp_path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:1000]),
        lambda path: path.write_bytes(b"other" + path.read_bytes()),
    ],
)
def test_an_unreadable_index_is_reported_with_the_command_that_makes_it_again(
    unit_vectors, tmp_path, spoil
):
    folder = tmp_path / "shop" / "index"
    folder.mkdir(parents=True)
    build_index(unit_vectors, IndexConfig(), folder).save(folder)
    spoil(folder / "index.faiss")

    with pytest.raises(CorruptArtifactError, match=r"index\.faiss is .*`make index DATASET=shop`"):
        FaissStore.load(folder)


@pytest.mark.parametrize(
    ("option", "value"),
    [("nlist", -1), ("exact_up_to", -1), ("target_recall", 1.1), ("memory_gib", 0.5)],
)
def test_invalid_options_are_refused(option, value):
    with pytest.raises(ValueError, match=option):
        IndexConfig(**{option: value})

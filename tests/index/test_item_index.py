import numpy as np
import pytest

from index.config import IndexConfig
from index.item_index import ItemIndex, build_index


def exact(queries, corpus, k):
    return np.argsort(-queries @ corpus.T, axis=1, kind="stable")[:, :k]


def test_an_exact_index_finds_the_largest_inner_products(unit_vectors):
    scores, rows = build_index(unit_vectors, IndexConfig(kind="exact")).search(
        unit_vectors[:50], 10
    )

    np.testing.assert_array_equal(rows, exact(unit_vectors[:50], unit_vectors, 10))
    np.testing.assert_allclose(scores[:, 0], 1, atol=1e-5)


def test_probing_every_list_equals_exact_search_up_to_fp16(unit_vectors):
    config = IndexConfig(kind="approximate", nlist=16, nprobe=16)

    _, rows = build_index(unit_vectors, config).search(unit_vectors[:50], 10)

    truth = exact(unit_vectors[:50], unit_vectors, 10)
    shared = [len(np.intersect1d(a, b)) for a, b in zip(rows, truth, strict=True)]
    assert np.mean(shared) > 9.8


def test_probing_few_lists_finds_less(unit_vectors):
    truth = exact(unit_vectors[:50], unit_vectors, 10)

    def recall(nprobe):
        config = IndexConfig(kind="approximate", nlist=64, nprobe=nprobe)
        _, rows = build_index(unit_vectors, config).search(unit_vectors[:50], 10)
        return np.mean([len(np.intersect1d(a, b)) for a, b in zip(rows, truth, strict=True)])

    assert recall(1) < recall(16) < recall(64)


def test_auto_is_exact_up_to_its_limit_and_approximate_above():
    config = IndexConfig(exact_up_to=100)

    assert config.is_exact(100)
    assert not config.is_exact(101)


@pytest.mark.parametrize("kind", ["exact", "approximate"])
def test_a_saved_index_answers_as_before(unit_vectors, tmp_path, kind):
    index = build_index(unit_vectors, IndexConfig(kind=kind, nlist=16, nprobe=4))
    index.save(tmp_path)

    before, after = (
        index.search(unit_vectors[:5], 7),
        ItemIndex.load(tmp_path).search(unit_vectors[:5], 7),
    )

    np.testing.assert_array_equal(before[1], after[1])
    np.testing.assert_array_equal(before[0], after[0])


@pytest.mark.parametrize("kind", ["exact", "approximate"])
def test_stored_vectors_come_back_by_row(unit_vectors, kind):
    index = build_index(unit_vectors, IndexConfig(kind=kind, nlist=16))

    np.testing.assert_allclose(index.vectors(np.array([5, 3])), unit_vectors[[5, 3]], atol=2e-3)


def test_unvisited_lists_leave_row_minus_one():
    vectors = np.eye(8, dtype=np.float32)
    index = build_index(vectors, IndexConfig(kind="approximate", nlist=8, nprobe=1))

    _, rows = index.search(vectors[:1], 8)

    assert rows[0, 0] == 0
    assert (rows[0] == -1).any()


@pytest.mark.parametrize(
    ("vectors", "rule"),
    [
        (np.ones((3, 4), np.float32), "length 1"),
        (np.full((3, 4), np.nan, np.float32), "finite.*row 0"),
        (np.empty((0, 4), np.float32), "not empty"),
        (np.ones(4, np.float32), r"\(n, dimension\)"),
    ],
)
def test_bad_embeddings_are_refused_by_name(vectors, rule):
    with pytest.raises(ValueError, match=rule):
        build_index(vectors, IndexConfig())


def test_bad_searches_are_refused_by_name(unit_vectors):
    index = build_index(unit_vectors, IndexConfig())

    with pytest.raises(ValueError, match="dimension 16, got 3"):
        index.search(np.ones((1, 3), np.float32), 5)
    for k in (0, 2001):
        with pytest.raises(ValueError, match=f"corpus of 2000, got {k}"):
            index.search(unit_vectors[:1], k)


@pytest.mark.parametrize(("option", "value"), [("nprobe", 0), ("nlist", -1), ("exact_up_to", -1)])
def test_nonsense_options_are_refused(option, value):
    with pytest.raises(ValueError, match=option):
        IndexConfig(**{option: value})


@pytest.mark.gpu
def test_a_gpu_finds_what_the_cpu_finds(unit_vectors, tmp_path):
    from index.installation import gpu_count

    if not gpu_count():
        pytest.skip("needs faiss-gpu and a CUDA GPU")
    index = build_index(unit_vectors, IndexConfig(kind="exact"))
    index.save(tmp_path)

    _, rows = ItemIndex.load(tmp_path).search(unit_vectors[:50], 10)

    np.testing.assert_array_equal(rows, index.search(unit_vectors[:50], 10)[1])

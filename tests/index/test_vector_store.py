"""The contract of every `VectorStore`: FAISS and Milvus give the same answers and errors."""

import os

import numpy as np
import pytest
from pyroaring import BitMap

from index.config import IndexConfig, MilvusConfig
from index.faiss_store.build import build_index
from index.live_index import LiveIndex
from tests.rounding import rounding

pytestmark = pytest.mark.numeric

ITEMS, DIMENSION = 2000, 16


@pytest.fixture(scope="module", params=["faiss", "milvus"])
def store(request, unit_vectors, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "faiss":
        yield build_index(unit_vectors, IndexConfig(kind="exact"), folder)
        return
    pytest.importorskip("pymilvus" if "MILVUS_URI" in os.environ else "milvus_lite")
    from index.milvus_store.upload import upload

    uri = os.environ.get("MILVUS_URI", str(folder / "store.db"))
    config = MilvusConfig(uri=uri, prefix="contract", timeout_seconds=60)
    built = upload(unit_vectors, config, folder)
    built.set_operating_point("ef=256")
    yield built
    built.close()


def exact(vectors, queries, k):
    return np.argsort(-queries @ vectors.T, axis=1, kind="stable")[:, :k]


def recall(found, truth):
    return np.mean([np.isin(a, b).mean() for a, b in zip(truth, found, strict=True)])


def test_a_store_reports_its_size_and_dimension(store):
    assert (len(store), store.dimension) == (ITEMS, DIMENSION)


def test_a_search_agrees_with_exact_search_best_first(store, unit_vectors):
    scores, rows = store.search(unit_vectors[:300], 10)

    assert scores.shape == rows.shape == (300, 10)
    assert (scores.dtype, rows.dtype) == (np.float32, np.int64)
    assert recall(rows, exact(unit_vectors, unit_vectors[:300], 10)) >= 0.99
    assert (np.diff(scores, axis=1) <= 0).all()
    products = np.einsum("qd,qkd->qk", unit_vectors[:300], unit_vectors[rows])
    np.testing.assert_allclose(scores, products, atol=rounding(1, terms=16))


def test_k_may_be_the_whole_corpus(store, unit_vectors):
    scores, rows = store.search(unit_vectors[:1], ITEMS)

    assert scores.shape == rows.shape == (1, ITEMS)
    found = rows[0][rows[0] >= 0]
    assert len(np.unique(found)) == len(found) >= 0.9 * ITEMS


@pytest.mark.parametrize("size", [ITEMS, 1900, 1400, 1001, 600, 200, 20, 5])
def test_a_search_among_allowed_rows_finds_the_best_of_them(store, unit_vectors, size):
    allowed = np.sort(np.random.default_rng(size).permutation(ITEMS)[:size])
    shares = []
    for query in unit_vectors[:20]:
        scores, rows = store.search_among(query, 10, BitMap(allowed))
        assert scores.shape == rows.shape == (min(10, size),)
        assert np.isin(rows, allowed).all()
        assert (np.diff(scores) <= 0).all()
        best = allowed[np.argsort(-unit_vectors[allowed] @ query, kind="stable")[:10]]
        shares.append(np.isin(best, rows).mean())
    assert np.mean(shares) >= 0.98


def test_allowed_rows_far_from_the_query_are_found(store, unit_vectors):
    query = unit_vectors[0]
    farthest = np.sort(np.argsort(unit_vectors @ query)[:1200])

    _, rows = store.search_among(query, 50, BitMap(farthest))

    best = farthest[np.argsort(-unit_vectors[farthest] @ query)[:50]]
    assert len(np.unique(rows)) == 50
    assert np.isin(rows, farthest).all()
    assert np.isin(best, rows).mean() >= 0.98


def test_without_allowed_rows_nothing_is_found(store, unit_vectors):
    scores, rows = store.search_among(unit_vectors[0], 5, BitMap())

    assert scores.shape == rows.shape == (0,)


def test_embeddings_are_returned_for_repeated_rows_in_any_order(store, unit_vectors):
    rows = np.array([7, 3, 1999, 7, 0])

    np.testing.assert_allclose(store.vectors(rows), unit_vectors[rows], atol=rounding(1, terms=1))
    assert store.vectors(np.empty(0, np.int32)).shape == (0, DIMENSION)


@pytest.mark.parametrize("k", [0, -1, ITEMS + 1])
def test_a_k_outside_the_corpus_is_refused(store, unit_vectors, k):
    with pytest.raises(ValueError, match=rf"k must be in \[1, 2000\], got {k}"):
        store.search(unit_vectors[:1], k)


def test_invalid_queries_are_refused_by_name(store, unit_vectors):
    bad = unit_vectors[:2].copy()
    bad[1, 3] = np.nan
    with pytest.raises(ValueError, match=r"finite.*row 1"):
        store.search(bad, 5)
    with pytest.raises(ValueError, match="finite"):
        store.search_among(np.full(DIMENSION, np.inf, np.float32), 5, BitMap([1]))
    with pytest.raises(ValueError, match="dimension 16, got 3"):
        store.search(np.ones((1, 3), np.float32), 5)
    with pytest.raises(ValueError, match="dimension 16, got 3"):
        store.search_among(np.ones(3, np.float32), 5, BitMap([1]))
    with pytest.raises(ValueError, match="not empty"):
        store.search(np.empty((0, DIMENSION), np.float32), 5)
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        store.search_among(unit_vectors[0], 0, BitMap([1]))


def test_rows_outside_the_corpus_are_refused(store, unit_vectors):
    rule = r"rows must be in \[0, 2000\)"
    with pytest.raises(ValueError, match=rf"{rule}, got 1 to 2000"):
        store.search_among(unit_vectors[0], 5, BitMap([1, ITEMS]))
    for rows in ([-1], [3, ITEMS]):
        with pytest.raises(ValueError, match=rule):
            store.vectors(np.array(rows))


def test_an_invalid_operating_point_is_refused(store):
    with pytest.raises(ValueError, match=r"operating_point must be .* got 'nonsense=4'"):
        store.set_operating_point("nonsense=4")


def test_a_live_index_finds_added_rows_and_no_hidden_rows(store, unit_vectors):
    query = unit_vectors[5]
    live = LiveIndex.of(store).changed(query[None], np.array([5]), hidden=np.array([5, 6]))

    _, rows = live.search(query[None], 10)
    _, among = live.search_among(query, 3, BitMap([5, 6, 7, 8, ITEMS]))
    _, whole = live.search(query[None], live.live)

    assert rows[0, 0] == ITEMS
    assert not np.isin([5, 6], rows).any()
    assert among[0] == ITEMS
    assert set(among) == {7, 8, ITEMS}
    assert set(whole[0].tolist()) == set(range(ITEMS + 1)) - {5, 6}

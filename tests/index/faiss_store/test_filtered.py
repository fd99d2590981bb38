from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pyroaring import BitMap

from benchmarks.index.vectors import clustered
from dataset.postings import bitmap_of
from index.config import IndexConfig
from index.faiss_store import filtered
from index.faiss_store.build import LISTS, build_index
from index.faiss_store.store import FaissStore
from index.stage import tune
from tests.rounding import rounding

KINDS = ["exact", "ivf-pq", "ivf-sq", "hnsw"]
SIZE, DIMENSION, CENTRES, K = 24_000, 32, 48, 100
HALVES = rounding(1, terms=DIMENSION, stored=1, dtype=torch.float16)
"""Error of a cosine; some kinds hold fp16 vectors."""


@pytest.fixture(scope="module")
def vectors():
    return np.concatenate(list(clustered(CENTRES)(SIZE, DIMENSION, 1)))


@pytest.fixture(scope="module")
def queries():
    return np.concatenate(list(clustered(CENTRES)(240, DIMENSION, 2)))


@pytest.fixture(scope="module", params=KINDS)
def index(request, vectors, queries, tmp_path_factory):
    """An index of each kind, tuned as `make index` does."""
    config = IndexConfig(kind=request.param)
    built = build_index(vectors, config, tmp_path_factory.mktemp(request.param))
    point, _ = tune(built, config, vectors, queries[:200])
    built.set_operating_point(point.parameters)
    return built


@pytest.fixture
def scan_rarely(monkeypatch):
    """Use row selectors even for so few allowed rows that the tests are fast."""
    monkeypatch.setattr(filtered, "SCANNED", 500)
    monkeypatch.setattr(filtered, "LINKS_VISITED", 1)
    monkeypatch.setattr(filtered, "FURTHER", 2)


def exact(vectors, query, rows, k):
    return rows[np.argsort(-(vectors[rows] @ query), kind="stable")[:k]]


def recall(index, vectors, queries, rows):
    shares = []
    for query in queries:
        scores, found = index.search_among(query, K, bitmap_of(rows))
        assert len(found) == len(set(found.tolist())) == min(K, len(rows))
        assert np.isin(found, rows).all()
        assert (np.diff(scores) <= rounding(1, terms=DIMENSION)).all()
        np.testing.assert_allclose(scores, vectors[found] @ query, atol=HALVES)
        shares.append(np.isin(exact(vectors, query, rows, K), found).mean())
    return np.mean(shares)


@pytest.mark.parametrize("share", [0.9, 0.5, 0.1, 0.01, 0.001])
def test_recall_of_filtered_search_reaches_the_target_of_the_index(index, vectors, queries, share):
    rows = np.flatnonzero(np.random.default_rng(1).random(SIZE) < share)

    assert recall(index, vectors, queries[200:], rows) >= 0.98


@pytest.mark.usefixtures("scan_rarely")
@pytest.mark.parametrize("share", [0.5, 0.1])
def test_recall_reaches_the_target_when_allowed_rows_are_far_from_the_query(
    index, vectors, queries, share
):
    nearest = np.argsort(vectors @ queries[200])
    rows = np.sort(nearest[: int(share * SIZE)])

    assert recall(index, vectors, queries[200:205], rows) >= 0.98


@pytest.mark.usefixtures("scan_rarely")
@pytest.mark.parametrize("share", [0.6, 0.1, 0.04])
def test_recall_of_searches_with_a_selector_reaches_the_target(index, vectors, queries, share):
    rows = np.flatnonzero(np.random.default_rng(2).random(SIZE) < share)

    assert recall(index, vectors, queries[200:], rows) >= 0.98


@pytest.mark.usefixtures("scan_rarely")
@pytest.mark.parametrize("index", ["ivf-pq", "ivf-sq", "hnsw"], indirect=True)
def test_every_kind_of_index_honours_its_row_selector(index, queries):
    search = filtered.FilteredSearch(index._stored)
    rows = np.flatnonzero(np.random.default_rng(3).random(SIZE) < 0.6)
    fits = np.isin(np.arange(SIZE), rows)
    selector = search._faiss.IDSelectorBitmap(np.packbits(fits, bitorder="little"))

    tried = list(search._efforts(queries[:1], 10, rows, selector))

    assert len(tried) >= 2
    for parameters in tried:
        _, found = index._stored.search(queries[:1], 10, params=parameters)
        assert fits[found[found >= 0]].all()
        assert (found >= 0).sum() >= 5


class IgnoresSelectors:
    """An index that ignores row selectors, as GPU indexes do."""

    widest = 2048

    def __init__(self, index):
        self._index = index

    def __getattr__(self, name):
        return getattr(self._index, name)

    def search(self, queries, k, params=None):
        return self._index.search(queries, k)


@pytest.mark.parametrize("share", [0.95, 0.5, 0.01])
def test_an_index_that_ignores_selectors_is_never_given_one(vectors, queries, share, tmp_path):
    config = IndexConfig(kind="ivf-sq")
    index = FaissStore(build_index(vectors, config, tmp_path)._stored)
    index._on_gpus = IgnoresSelectors(index._stored)
    index._stored.nprobe = 20
    rows = np.flatnonzero(np.random.default_rng(4).random(SIZE) < share)

    assert recall(index, vectors, queries[200:210], rows) >= 0.98


@pytest.mark.usefixtures("scan_rarely")
def test_rows_that_are_not_allowed_are_never_returned(vectors, queries, tmp_path):
    index = build_index(vectors, IndexConfig(kind="ivf-sq"), tmp_path)
    index._filtered._index = IgnoresSelectors(index._filtered._index)
    rows = np.flatnonzero(np.random.default_rng(5).random(SIZE) < 0.3)
    scanned = SimpleNamespace(calls=0)

    def scan(query, k, rows, selector):
        scanned.calls += 1
        found = exact(vectors, query[0], rows, k)
        return vectors[found] @ query[0], found

    index._filtered._scanned = scan

    assert recall(index, vectors, queries[:5], rows) == 1
    assert scanned.calls == 5


@pytest.mark.parametrize("left_out", [1, 50, 199])
def test_leaving_out_the_nearest_rows_does_not_lower_recall(index, vectors, queries, left_out):
    nearest = np.argsort(-(vectors @ queries[200]))[:left_out]
    rows = np.setdiff1d(np.arange(SIZE), nearest)

    assert recall(index, vectors, queries[200:201], rows) >= 0.98


def test_without_allowed_rows_nothing_is_found(index, queries):
    scores, rows = index.search_among(queries[0], 5, BitMap())

    assert len(scores) == len(rows) == 0


def test_invalid_searches_are_refused_by_name(index, queries):
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        index.search_among(queries[0], 0, BitMap([1]))
    with pytest.raises(ValueError, match=rf"rows must be in \[0, {SIZE}\), got 3 to {SIZE}"):
        index.search_among(queries[0], 5, BitMap([3, SIZE]))
    with pytest.raises(ValueError, match="dimension 32, got 3"):
        index.search_among(np.ones(3, np.float32), 5, BitMap([1]))


def test_lists_on_disk_are_searched_with_a_filter(vectors, queries, tmp_path, monkeypatch):
    monkeypatch.setattr("index.faiss_store.build._items_within", lambda *_: SIZE // 3)
    index = build_index(vectors, IndexConfig(kind="ivf-sq"), tmp_path)
    assert (tmp_path / LISTS).is_file()
    index.set_operating_point("nprobe=20")
    index.save(tmp_path)
    rows = np.flatnonzero(np.random.default_rng(6).random(SIZE) < 0.02)

    assert recall(FaissStore.load(tmp_path), vectors, queries[200:210], rows) >= 0.98

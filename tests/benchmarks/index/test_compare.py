import numpy as np
import pytest

from benchmarks.index import compare as benchmark
from benchmarks.index.peers import reaching, recall_of
from benchmarks.index.vectors import clustered, unclustered
from index.config import IndexConfig
from index.tuning import nearest
from tests.rounding import rounding

pytestmark = pytest.mark.numeric


@pytest.mark.parametrize("make", [clustered(5), unclustered])
def test_synthetic_vectors_have_unit_length_and_differ_with_the_seed(make):
    one, again, other = (np.concatenate(list(make(70_000, 8, seed))) for seed in (1, 1, 2))

    np.testing.assert_allclose(np.linalg.norm(one, axis=1), 1, atol=rounding(1, terms=8))
    np.testing.assert_array_equal(one, again)
    assert one.shape == other.shape == (70_000, 8)
    assert not np.isclose(one, other).all(axis=1).any()


def test_a_peer_is_measured_at_the_least_effort_that_reaches_the_recall():
    truth = np.array([[0, 1, 2, 3]])

    def finding(count):
        return lambda query: np.arange(count)

    points = iter(
        [
            ("ef=1, r=1", finding(1)),
            ("ef=2, r=1", finding(3)),
            ("ef=3, r=1", finding(4)),
            ("ef=1, r=2", finding(2)),
        ]
    )

    found = reaching(points, np.ones((1, 2), np.float32), truth, 0.75)

    assert [(parameters, recall) for parameters, recall, _ in found] == [("ef=2, r=1", 0.75)]


def test_the_index_is_measured_on_queries_that_it_was_not_tuned_on(monkeypatch):
    vectors = np.concatenate(list(clustered(20)(3000, 16, 1)))
    queries = np.concatenate(list(clustered(20)(300, 16, 2)))
    exact = nearest(queries[1::2], vectors, 100)
    rows = {query.tobytes(): row for query, row in zip(queries[1::2], exact, strict=True)}
    peer = {"oracle": lambda vectors, k: iter([("all", lambda query: rows[query.tobytes()])])}
    monkeypatch.setattr(benchmark, "PEERS", peer)

    config = IndexConfig(kind="ivf-sq", nlist=20)
    figures, filtered = benchmark.compare_with_peers("x", vectors, queries, config)

    assert figures["recall@100"] >= 0.97
    assert figures["operating point"].startswith("nprobe=")
    assert figures["oracle"] == "all (1.0000)"
    assert figures["ratio"] > 0
    assert [row["fitting"].split(",")[0] for row in filtered] == ["50.0%", "10.0%", "1.0%", "0.1%"]
    assert all(row["recall@100"] >= 0.98 for row in filtered)


def test_recall_is_the_share_of_exact_search_results_that_were_found():
    assert recall_of([np.array([1, 9]), np.array([3, -1])], np.array([[1, 2], [3, 4]])) == 0.5


@pytest.mark.slow
def test_exact_batches_are_at_least_twice_as_fast_as_with_faiss_defaults():
    assert benchmark.exact_batches(128_000)["times faster"] >= 2

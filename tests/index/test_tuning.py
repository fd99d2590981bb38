import numpy as np
import pytest

from index.config import IndexConfig
from index.faiss_store.build import build_index, list_count
from index.faiss_store.store import FaissStore
from index.tuning import OperatingPoint, Truth, explore, measure, nearest, reaching, widest_effort

ITEMS, K = 4000, 20


def clustered(size, seed):
    """(size, 32): unit vectors around 40 centres."""
    centres = np.random.default_rng(0).normal(size=(40, 32))
    rng = np.random.default_rng(seed)
    vectors = centres[rng.integers(40, size=size)] + 1.2 * rng.normal(size=(size, 32))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def explored(index, kind, truth, target):
    most = 1000 if kind == "hnsw" else 64
    return explore(
        lambda parameters: measure(index, parameters, truth),
        kind,
        most=most,
        target=target,
    )


@pytest.fixture(scope="module")
def corpus():
    return clustered(ITEMS, 1)


@pytest.fixture(scope="module")
def queries():
    return clustered(400, 2)


@pytest.mark.parametrize("kind", ["ivf-pq", "ivf-sq", "hnsw"])
@pytest.mark.parametrize("target", [0.8, 0.98])
def test_the_tuned_point_reaches_the_target_on_other_queries(
    corpus, queries, kind, target, tmp_path
):
    config = IndexConfig(kind=kind, nlist=64)
    index = build_index(corpus, config, tmp_path)

    points = explored(index, kind, Truth.of(queries, corpus, K), target)
    point = reaching(points, target)[0]

    others = clustered(400, 3)
    found = measure(index, point.parameters, Truth.of(others, corpus, K))
    assert found.recall >= target
    assert point.milliseconds == min(p.milliseconds for p in points if p.least_recall >= target)


def test_tuning_finds_the_least_effort_that_reaches_the_target(corpus, queries, tmp_path):
    index = build_index(corpus, IndexConfig(kind="ivf-sq", nlist=64), tmp_path)
    truth = Truth.of(queries, corpus, K)

    points = explored(index, "ivf-sq", truth, 0.9)

    tuned = int(reaching(points, 0.9)[0].parameters.removeprefix("nprobe="))
    less = tuned - max(1, tuned // 8) - 1
    assert 1 < tuned < 64
    assert measure(index, f"nprobe={less}", truth).least_recall < 0.9


def test_an_unreachable_target_is_searched_for_up_to_every_list(corpus, queries, tmp_path):
    index = build_index(corpus, IndexConfig(kind="ivf-sq", nlist=64), tmp_path)
    truth = Truth.of(queries, np.roll(corpus, 1, axis=0), K)  # of other rows

    points = explored(index, "ivf-sq", truth, 0.9)

    assert reaching(points, 0.9) == []
    assert points[-1].parameters == "nprobe=64"


class Found(FaissStore):
    """Finds the same rows for every query."""

    def __init__(self, rows):
        self.rows = np.array(rows)

    def set_operating_point(self, parameters):
        pass

    def search(self, given, k):
        return None, self.rows[: len(given)]


def test_recall_is_the_share_of_the_items_of_exact_search():
    cosines = np.float32([1, 0.9, 0.8, 0.7, 0.6, 0.5])
    embeddings = np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1)
    truth = Truth.of(np.float32([[1, 0], [1, 0]]), embeddings, 4)

    point = measure(Found([[3, 2, -1, 5], [3, 2, 1, 0]]), "", truth)

    assert point.recall == 0.75
    assert point.least_recall == pytest.approx(0.75 - 2 * 0.25 / 2**0.5)


def test_an_item_that_scores_as_high_as_the_last_one_counts_as_found():
    """Items 2 to 5 are copies: any two of them are right; item 6 is worse than all."""
    cosines = np.float32([1, 0.9, 0.8, 0.8, 0.8, 0.8, 0.7])
    embeddings = np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1)
    truth = Truth.of(np.float32([[1, 0]]), embeddings, 4)

    recalls = [
        measure(Found([found]), "", truth).recall
        for found in ([0, 1, 2, 3], [0, 1, 4, 5], [5, 0, 3, 1], [0, 1, 5, 6], [3, 3, 3, 3])
    ]

    assert recalls == [1, 1, 1, 0.75, 0.25]


def test_exact_search_in_blocks_is_exact_search(corpus, queries, monkeypatch):
    monkeypatch.setattr("index.vectors.BLOCK", 4 * 32 * 700)

    rows = nearest(queries, corpus, K)

    scores = queries @ corpus.T
    np.testing.assert_array_equal(rows, np.argsort(-scores, axis=1, kind="stable")[:, :K])


def test_operating_points_that_reach_the_target_are_ordered_by_latency():
    def point(name, least, milliseconds):
        return OperatingPoint(
            parameters=name, recall=0.99, least_recall=least, milliseconds=milliseconds
        )

    points = [point("slow", 0.99, 3), point("fast", 0.98, 2), point("faster", 0.979, 1)]

    assert [p.parameters for p in reaching(points, 0.98)] == ["fast", "slow"]


def test_the_number_of_lists_is_the_square_root_of_the_number_of_items():
    assert list_count(IndexConfig(), 1_000_000) == 1000
    assert list_count(IndexConfig(nlist=7), 1_000_000) == 7
    assert list_count(IndexConfig(nlist=7), 5) == 5


@pytest.mark.parametrize(
    ("kind", "on_gpu", "most"),
    [
        ("ivf-sq", False, 3162),
        ("ivf-sq", True, 2048),
        ("hnsw", True, 4096),
        ("cagra", True, 512),
    ],
)
def test_the_largest_effort_respects_the_limits_of_a_gpu(kind, on_gpu, most):
    assert widest_effort(kind, 3162, on_gpu=on_gpu) == most

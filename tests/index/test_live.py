import numpy as np
import pytest

from index.build import build_index
from index.config import IndexConfig
from index.live import LiveIndex

KINDS = ["exact", "ivf-pq", "ivf-sq", "hnsw"]
NOTHING = np.empty(0, np.int64)


def unit(rng, count, dimension=16):
    vectors = rng.normal(size=(count, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def every_list(kind):
    return {
        "ivf-pq": "nprobe=16,k_factor_rf=64",
        "ivf-sq": "nprobe=16",
        "hnsw": "efSearch=400",
    }.get(kind, "")


@pytest.fixture(scope="module")
def base_of(unit_vectors, tmp_path_factory):
    """An index of 400 items that looks everywhere, of every kind."""

    def build(kind, items=400, parameters=None):
        config = IndexConfig(kind=kind, nlist=16)
        index = build_index(unit_vectors[:items], config, tmp_path_factory.mktemp("lists"))
        index.set_operating_point(every_list(kind) if parameters is None else parameters)
        return index

    return build


class Oracle:
    """Live embeddings by item, in a dictionary; a row of the base is its own item."""

    def __init__(self, vectors):
        self.vectors = dict(enumerate(vectors))
        self.row_of = {item: item for item in self.vectors}
        self.item_at = dict(self.row_of)

    def best(self, query, k):
        scores = {item: float(vector @ query) for item, vector in self.vectors.items()}
        return sorted(scores.values(), reverse=True)[:k]


@pytest.mark.parametrize("kind", KINDS)
def test_random_changes_and_searches_agree_with_a_dictionary(base_of, unit_vectors, kind):
    rng = np.random.default_rng(7)
    index, oracle = LiveIndex(base_of(kind)), Oracle(unit_vectors[:400])
    next_item = 1_000
    for step in range(600):
        move = rng.choice(["new", "renewed", "deleted", "searched", "compacted"], p=PARTS)
        items = list(oracle.vectors)
        if move == "compacted":
            index, rows = index.compacted()
            for place, row in enumerate(rows.tolist()):
                oracle.row_of[oracle.item_at[row]] = 400 + place
            oracle.item_at = {row: item for item, row in oracle.row_of.items()}
        elif move == "deleted" and items:
            gone = rng.choice(
                items, min(len(items), 90 if step % 10 == 9 else 1 + step % 3), replace=False
            ).tolist()
            index = index.changed(hidden=np.array([oracle.row_of.pop(i) for i in gone]))
            for item in gone:
                del oracle.vectors[item]
        elif move in ("new", "renewed"):
            count = int(rng.integers(1, 4))
            known = rng.choice(400, count, replace=False).tolist()
            chosen = [next_item + i for i in range(count)] if move == "new" else known
            next_item += count
            hidden = [oracle.row_of[i] for i in chosen if i in oracle.row_of]
            vectors, first = unit(rng, count), len(index)
            origins = np.array([i if i < 400 else -1 for i in chosen])
            index = index.changed(vectors, origins, hidden=np.array(hidden, np.int64))
            for place, (item, vector) in enumerate(zip(chosen, vectors, strict=True)):
                oracle.vectors[item], oracle.row_of[item] = vector, first + place
                oracle.item_at[first + place] = item
        else:
            k = int(rng.integers(1, min(300, len(index))))
            searched_as_the_oracle(index, oracle, unit(rng, 1), k, kind)
    assert index.live == len(oracle.vectors)
    searched_as_the_oracle(index, oracle, unit(rng, 1), len(index), kind)


PARTS = [0.2, 0.2, 0.25, 0.33, 0.02]


def searched_as_the_oracle(index, oracle, query, k, kind):
    scores, rows = (found[0] for found in index.search(query, k))
    expected = oracle.best(query[0], k)
    found = [oracle.item_at[row] for row in rows.tolist() if row >= 0]

    assert len(found) == len(set(found)) == len(expected)
    assert all(oracle.row_of.get(oracle.item_at[row]) == row for row in rows.tolist() if row >= 0)
    assert (rows[len(found) :] == -1).all()
    assert np.isneginf(scores[len(found) :]).all()
    tolerance = 1e-5 if kind in ("exact", "hnsw") else 5e-3  # others hold halves
    own = [float(oracle.vectors[item] @ query[0]) for item in found]
    np.testing.assert_allclose(scores[: len(found)], own, atol=tolerance)
    missed = (np.array(own) < np.array(expected) - tolerance).sum()
    assert missed <= (0 if kind in ("exact", "ivf-sq") else 0.05 * k)  # the others are not exact


@pytest.mark.parametrize("kind", KINDS)
def test_as_many_come_back_as_are_left_even_where_the_base_looks_hardly_anywhere(
    base_of, unit_vectors, kind
):
    parameters = {"ivf-pq": "nprobe=1", "ivf-sq": "nprobe=1", "hnsw": "efSearch=1"}.get(kind, "")
    index = LiveIndex(base_of(kind, parameters=parameters))
    kept = np.array([3, 77, 140, 399])
    index = index.changed(hidden=np.setdiff1d(np.arange(400), kept))

    for k in (1, 3, 4, 50):
        _, rows = index.search(unit_vectors[:5], k)
        assert all(set(found[found >= 0]) <= set(kept) for found in rows)
        assert ((rows >= 0).sum(axis=1) == min(k, 4)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_of_a_corpus_that_was_deleted(base_of, unit_vectors, kind):
    index = LiveIndex(base_of(kind)).changed(hidden=np.arange(400))

    scores, rows = index.search(unit_vectors[:2], 7)

    assert index.live == 0
    assert (rows == -1).all()
    assert np.isneginf(scores).all()


def test_an_index_that_nothing_changed_answers_as_its_base(base_of, unit_vectors):
    base = base_of("ivf-sq", parameters="nprobe=2")

    for ours, theirs in zip(
        LiveIndex(base).search(unit_vectors[:20], 300),
        base.search(unit_vectors[:20], 300),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_who_searches_an_older_index_does_not_notice_a_change(base_of, unit_vectors):
    before = LiveIndex(base_of("exact"))
    answer = before.search(unit_vectors[:9], 20)
    between = before.changed(unit_vectors[500:502], np.array([0, -1]), hidden=np.array([0]))
    seen = between.search(unit_vectors[:9], 20)
    between.changed(unit_vectors[502:503], np.array([-1]), hidden=np.array([1, 401]))

    for old, now in ((answer, before.search(unit_vectors[:9], 20)),):
        np.testing.assert_array_equal(old[1], now[1])
    np.testing.assert_array_equal(seen[1], between.search(unit_vectors[:9], 20)[1])


def test_rows_lead_to_items_and_back(base_of, unit_vectors):
    index = LiveIndex(base_of("exact"))
    index = index.changed(unit_vectors[500:502], np.array([7, -1]), hidden=np.array([7, 9]))

    assert index.origins(np.array([3, 7, 400, 401])).tolist() == [3, 7, 7, 401]
    assert index.current(np.array([3, 7, 9])).tolist() == [3, 400, -1]
    assert index.alive(np.array([-1, 3, 7, 400])).tolist() == [False, True, False, True]
    np.testing.assert_allclose(
        index.vectors(np.array([401, 2, 400])), unit_vectors[[501, 2, 500]], atol=1e-6
    )
    assert index.live == 400


@pytest.mark.parametrize(
    ("vectors", "rule"),
    [
        (np.full((1, 16), np.nan, np.float32), "finite.*row 0"),
        (np.full((1, 16), np.inf, np.float32), "finite.*row 0"),
        (np.ones((1, 15), np.float32), "dimension 16, got 15"),
        (np.ones((1, 16), np.float32), "length 1, got 4.000 in row 0"),
        (np.ones(16, np.float32), "shape"),
    ],
)
def test_unfit_vectors_are_refused_and_change_nothing(base_of, unit_vectors, vectors, rule):
    index = LiveIndex(base_of("exact"))

    with pytest.raises(ValueError, match=rule):
        index.changed(vectors, np.array([-1]), hidden=NOTHING)
    assert len(index) == 400


def test_unknown_rows_and_bad_searches_are_refused(base_of, unit_vectors):
    index = LiveIndex(base_of("exact")).changed(hidden=np.array([5]))

    for rows in ([-1], [400]):
        with pytest.raises(ValueError, match="hidden rows must be of 400"):
            index.changed(hidden=np.array(rows))
    for k in (0, 401):
        with pytest.raises(ValueError, match=f"corpus of 400, got {k}"):
            index.search(unit_vectors[:1], k)
    with pytest.raises(ValueError, match="rows must be of 400, got 3 to 400"):
        index.vectors(np.array([3, 400]))

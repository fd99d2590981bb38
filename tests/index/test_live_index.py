from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from pyroaring import BitMap

from dataset.prepare.attributes import save_attributes
from index.config import IndexConfig
from index.faiss_store.build import build_index
from index.filters.attributes import Attributes
from index.live_index import LiveIndex
from shortlist_client.api.filters import AnyOf, Filters, Range
from tests.rounding import rounding

pytestmark = pytest.mark.numeric

KINDS = ["exact", "ivf-pq", "ivf-sq", "hnsw"]
NOTHING = np.empty(0, np.int64)


def unit(rng, count, dimension=16):
    vectors = rng.normal(size=(count, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def exhaustive(kind):
    return {
        "ivf-pq": "nprobe=16,k_factor_rf=64",
        "ivf-sq": "nprobe=16",
        "hnsw": "efSearch=400",
    }.get(kind, "")


@pytest.fixture(scope="module")
def base_of(unit_vectors, tmp_path_factory):
    """Builds an index of a given kind over 400 items, by default searched exhaustively."""

    def build(kind, items=400, parameters=None):
        config = IndexConfig(kind=kind, nlist=16)
        index = build_index(unit_vectors[:items], config, tmp_path_factory.mktemp("lists"))
        index.set_operating_point(exhaustive(kind) if parameters is None else parameters)
        return index

    return build


class Oracle:
    """Reference: visible embeddings by item in a dictionary; row i of the base is item i."""

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
    index, oracle = LiveIndex.of(base_of(kind)), Oracle(unit_vectors[:400])
    next_item = 1_000
    for step in range(600):
        move = rng.choice(["new", "renewed", "deleted", "searched", "renumbered"], p=PARTS)
        items = list(oracle.vectors)
        if move == "renumbered":
            index, rows = index.renumbered()
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
            search_agrees(index, oracle, unit(rng, 1), k, kind)
    assert index.live == len(oracle.vectors)
    search_agrees(index, oracle, unit(rng, 1), len(index), kind)


PARTS = [0.2, 0.2, 0.25, 0.33, 0.02]


def search_agrees(index, oracle, query, k, kind):
    scores, rows = (found[0] for found in index.search(query, k))
    expected = oracle.best(query[0], k)
    found = [oracle.item_at[row] for row in rows.tolist() if row >= 0]

    assert len(found) == len(set(found)) == len(expected)
    assert all(oracle.row_of.get(oracle.item_at[row]) == row for row in rows.tolist() if row >= 0)
    assert (rows[len(found) :] == -1).all()
    assert np.isneginf(scores[len(found) :]).all()
    halves = kind not in ("exact", "hnsw")  # the others store fp16
    tolerance = rounding(1, terms=16, stored=int(halves), dtype=torch.float16)
    own = [float(oracle.vectors[item] @ query[0]) for item in found]
    np.testing.assert_allclose(scores[: len(found)], own, atol=tolerance)
    missed = (np.array(own) < np.array(expected) - tolerance).sum()
    assert missed <= (0 if kind in ("exact", "ivf-sq") else 0.05 * k)  # the others are not exact


@pytest.mark.parametrize("kind", KINDS)
def test_all_visible_items_are_found_even_at_the_least_search_effort(base_of, unit_vectors, kind):
    parameters = {"ivf-pq": "nprobe=1", "ivf-sq": "nprobe=1", "hnsw": "efSearch=1"}.get(kind, "")
    index = LiveIndex.of(base_of(kind, parameters=parameters))
    kept = np.array([3, 77, 140, 399])
    index = index.changed(hidden=np.setdiff1d(np.arange(400), kept))

    for k in (1, 3, 4, 50):
        _, rows = index.search(unit_vectors[:5], k)
        assert all(set(found[found >= 0]) <= set(kept) for found in rows)
        assert ((rows >= 0).sum(axis=1) == min(k, 4)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_corpus_with_every_item_deleted_finds_nothing(base_of, unit_vectors, kind):
    index = LiveIndex.of(base_of(kind)).changed(hidden=np.arange(400))

    scores, rows = index.search(unit_vectors[:2], 7)

    assert index.live == 0
    assert (rows == -1).all()
    assert np.isneginf(scores).all()


def test_an_unchanged_index_answers_as_its_base(base_of, unit_vectors):
    base = base_of("ivf-sq", parameters="nprobe=2")

    for ours, theirs in zip(
        LiveIndex.of(base).search(unit_vectors[:20], 300),
        base.search(unit_vectors[:20], 300),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_a_change_does_not_affect_searches_of_older_indexes(base_of, unit_vectors):
    before = LiveIndex.of(base_of("exact"))
    answer = before.search(unit_vectors[:9], 20)
    between = before.changed(unit_vectors[500:502], np.array([0, -1]), hidden=np.array([0]))
    seen = between.search(unit_vectors[:9], 20)
    between.changed(unit_vectors[502:503], np.array([-1]), hidden=np.array([1, 401]))

    for old, now in ((answer, before.search(unit_vectors[:9], 20)),):
        np.testing.assert_array_equal(old[1], now[1])
    np.testing.assert_array_equal(seen[1], between.search(unit_vectors[:9], 20)[1])


def test_rows_map_to_their_origins_and_back(base_of, unit_vectors):
    index = LiveIndex.of(base_of("exact"))
    index = index.changed(unit_vectors[500:502], np.array([7, -1]), hidden=np.array([7, 9]))

    assert index.origins(np.array([3, 7, 400, 401])).tolist() == [3, 7, 7, 401]
    assert index.current(np.array([3, 7, 9])).tolist() == [3, 400, -1]
    assert index.alive(np.array([-1, 3, 7, 400])).tolist() == [False, True, False, True]
    np.testing.assert_allclose(
        index.vectors(np.array([401, 2, 400])),
        unit_vectors[[501, 2, 500]],
        atol=rounding(1, terms=1),
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
def test_invalid_vectors_are_refused_and_change_nothing(base_of, unit_vectors, vectors, rule):
    index = LiveIndex.of(base_of("exact"))

    with pytest.raises(ValueError, match=rule):
        index.changed(vectors, np.array([-1]), hidden=NOTHING)
    assert len(index) == 400


def test_unknown_rows_and_invalid_searches_are_refused(base_of, unit_vectors):
    index = LiveIndex.of(base_of("exact")).changed(hidden=np.array([5]))

    for rows in ([-1], [400]):
        with pytest.raises(ValueError, match=r"hidden rows must be in \[0, 400\)"):
            index.changed(hidden=np.array(rows))
    for k in (0, 401):
        with pytest.raises(ValueError, match=rf"k must be in \[1, 400\], got {k}"):
            index.search(unit_vectors[:1], k)
    with pytest.raises(ValueError, match=r"rows must be in \[0, 400\), got 3 to 400"):
        index.vectors(np.array([3, 400]))


class Shop:
    """A live index and attributes that change, with the same items in a dictionary."""

    def __init__(self, index, vectors, rng, folder):
        self.index, self._rng = LiveIndex.of(index), rng
        self.items = {
            item: (described(rng), vector, item) for item, vector in enumerate(vectors[:400])
        }
        table = [{"item_id": f"i{item}", **self.items[item][0]} for item in range(400)]
        schema = {"item_id": pl.String, "tags": pl.List(pl.String), "price": pl.Float32}
        save_attributes(folder, pl.DataFrame(table, schema | {"new": pl.Boolean}))
        self.attributes, self._held = Attributes.load(folder, 400), []

    def upsert(self, items):
        vectors, first = unit(self._rng, len(items)), len(self.index)
        gone = [self.items[item][2] for item in items if item in self.items]
        origins = np.array([item if item < 400 else -1 for item in items])
        self.index = self.index.changed(vectors, origins, hidden=np.array(gone, np.int64))
        for place, item in enumerate(items):
            self.items[item] = described(self._rng), vectors[place], first + place
            self._held.append(self.attributes.item_values(self.items[item][0]))

    def delete(self, items):
        gone = [self.items.pop(item)[2] for item in items]
        self.index = self.index.changed(hidden=np.array(gone, np.int64))

    def renumber(self):
        before = {row: item for item, (_, _, row) in self.items.items()}
        self.index, rows = self.index.renumbered()
        self._held = [self._held[row - 400] for row in rows.tolist()]
        for place, row in enumerate(rows.tolist()):
            self.items[before[row]] = (*self.items[before[row]][:2], 400 + place)

    def matching(self, filters):
        now = replace(self.attributes, live=self.index, added=self._held)
        return now.matching(filters)


def described(rng):
    tags = rng.choice(["a", "b", "c"], rng.integers(3), replace=False).tolist()
    price = None if rng.random() < 0.1 else float(rng.choice([0.1, 9.99, 20.0, 35.5]))
    return {"tags": tags, "price": price, "new": bool(rng.random() < 0.1)}


def random_filters(rng):
    """Random filters, and a reference function that tests a description against them."""
    tag, other = (str(one) for one in rng.choice(["a", "b", "c"], 2, replace=False))
    price = float(rng.choice([0.1, 9.99, 20.0]))

    def between(one):
        return one["price"] is not None and price <= one["price"] < 30

    return [
        (Filters(must=[AnyOf("tags", [tag])]), lambda one: tag in one["tags"]),
        (
            Filters(must_not=[AnyOf("tags", [tag, other]), AnyOf("new", [True])]),
            lambda one: not {tag, other} & {*one["tags"]} and not one["new"],
        ),
        (
            Filters(should=[AnyOf("price", [price]), AnyOf("tags", [tag])]),
            lambda one: one["price"] == price or tag in one["tags"],
        ),
        (Filters(must=[Range("price", gte=price, lt=30)]), between),
        (
            Filters(must=[Range("price", gt=price), AnyOf("new", [True])]),
            lambda one: one["price"] is not None and one["price"] > price and one["new"],
        ),
        (Filters(must_not=[AnyOf("price", [12345])]), lambda _: True),
    ][rng.integers(6)]


@pytest.mark.parametrize("kind", KINDS)
def test_random_changes_and_filters_agree_with_a_dictionary(base_of, unit_vectors, kind, tmp_path):
    rng = np.random.default_rng(11)
    shop = Shop(base_of(kind), unit_vectors, rng, tmp_path)
    found_added = found_fewer = 0
    for step in range(300):
        known = list(shop.items)
        if step % 3 == 0:
            shop.upsert([*rng.choice(400, 3, replace=False).tolist(), 1_000 + step])
        elif step % 3 == 1:
            gone = rng.choice(known, min(len(known), 40 if step % 40 == 1 else 2), replace=False)
            shop.delete(gone.tolist())
        elif step % 50 == 2:
            shop.renumber()
        filters, fits = random_filters(rng)
        fitting = {row: vector for one, vector, row in shop.items.values() if fits(one)}
        allowed = shop.matching(filters)
        assert set(allowed) == set(fitting), filters

        hidden = rng.choice(len(shop.index), 5)  # the caller may not know of them yet
        allowed |= BitMap(hidden[~shop.index.alive(hidden)].tolist())
        query, k = unit(rng, 1)[0], int(rng.integers(1, 150))
        scores, rows = shop.index.search_among(query, k, allowed)
        assert len(rows) == len(set(rows.tolist())) == min(k, len(fitting))
        assert set(rows.tolist()) <= set(fitting)
        found_added += int((rows >= 400).sum())
        found_fewer += len(fitting) < k
        exact = sorted((float(vector @ query) for vector in fitting.values()), reverse=True)
        own = [float(fitting[row] @ query) for row in rows.tolist()]
        tolerance = rounding(1, terms=16, stored=1, dtype=torch.float16)  # some kinds hold halves
        np.testing.assert_allclose(scores, own, atol=tolerance)
        missed = (np.array(own) < np.array(exact[:k]) - tolerance).sum()
        assert missed <= (0 if kind in ("exact", "ivf-sq") else 0.05 * k)
    assert found_added > 100
    assert found_fewer > 10


def test_invalid_searches_among_rows_are_refused(base_of, unit_vectors):
    index = LiveIndex.of(base_of("exact")).changed(
        unit_vectors[500:501], np.array([-1]), hidden=np.array([5])
    )

    assert index.search_among(unit_vectors[0], 9, BitMap([5]))[1].tolist() == []
    assert index.search_among(unit_vectors[0], 9, BitMap([5, 400]))[1].tolist() == [400]
    with pytest.raises(ValueError, match=r"rows must be in \[0, 401\), got 3 to 401"):
        index.search_among(unit_vectors[0], 9, BitMap([3, 401]))
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        index.search_among(unit_vectors[0], 0, BitMap([400]))
    with pytest.raises(ValueError, match="dimension 16, got 3"):
        index.search_among(np.ones(3, np.float32), 1, BitMap([400]))

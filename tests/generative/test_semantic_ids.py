import numpy as np
import pytest

from generative.semantic_ids import learn_semantic_ids, reduced
from generative.trie import Trie


def learn(vectors, popularity=None, **options):
    popularity = np.zeros(len(vectors)) if popularity is None else popularity
    return learn_semantic_ids(vectors, popularity=popularity, seed=0, **options)


def test_every_level_brings_the_centroids_nearer_to_the_vectors(unit_vectors):
    ids = learn(unit_vectors, levels=3, size=16)

    left, errors = unit_vectors, []
    for level, means in enumerate(ids.centroids):
        left = left - means[ids.codes[:, level]]
        errors.append(float((left**2).sum(axis=1).mean()))

    assert errors[0] < 0.9
    assert errors[2] < errors[1] < errors[0]
    assert ids.sizes[:3] == (16, 16, 16)


def test_equal_items_get_different_codes_the_most_popular_first():
    vectors = np.repeat(np.eye(4, dtype=np.float32), 3, axis=0)
    popularity = np.array([1, 9, 5] * 4)

    ids = learn(vectors, popularity, levels=2, size=2)

    assert len(np.unique(ids.codes, axis=0)) == 12
    assert ids.codes[0:3, :2].tolist() == [ids.codes[0, :2].tolist()] * 3
    order = np.argsort(ids.codes[0:3, 2])
    assert order.tolist() == [1, 2, 0]


def test_fewer_items_than_codes_and_a_single_one_have_codes(unit_vectors):
    assert len(np.unique(learn(unit_vectors[:5], levels=3, size=256).codes, axis=0)) == 5
    assert learn(unit_vectors[:1], levels=3, size=256).sizes == (1, 1, 1, 1)


def test_principal_components_keep_distances_up_to_their_scale(unit_vectors):
    plain = unit_vectors[:50] - unit_vectors[:50].mean(axis=0)
    components = reduced(unit_vectors[:50], 20)

    scale = np.sqrt((plain**2).sum(axis=1).mean())
    distances = np.linalg.norm(plain[0] - plain, axis=1)
    found = np.linalg.norm(components[0] - components, axis=1) * scale
    assert components.shape == (50, 20)
    np.testing.assert_allclose(found, distances, atol=1e-5)


def test_a_centroid_that_no_item_is_near_has_no_code(monkeypatch):
    """The decoder, the trie and a loaded stage must agree on the number of codes."""
    vectors = np.eye(4, dtype=np.float32)
    far = 100 * np.ones((1, 4), np.float32)
    monkeypatch.setattr(
        "generative.semantic_ids._centroids",
        lambda left, *_: np.concatenate([far, np.unique(left, axis=0), far]),
    )

    ids = learn_semantic_ids(vectors, levels=2, size=8, popularity=np.ones(4), seed=0)

    assert ids.sizes == tuple((ids.codes.max(axis=0) + 1).tolist()) == (4, 1, 1)
    assert [len(means) for means in ids.centroids] == [4, 1]
    restored = sum(means[ids.codes[:, level]] for level, means in enumerate(ids.centroids))
    np.testing.assert_allclose(restored, vectors, atol=1e-6)


@pytest.mark.parametrize("items", [1, 3])
def test_a_tiny_catalogue_of_equal_items_has_different_codes(items):
    vectors = reduced(np.ones((items, 8), np.float32), 16)

    ids = learn_semantic_ids(vectors, levels=3, size=256, popularity=np.arange(items), seed=0)

    assert ids.sizes == (1, 1, 1, items)
    assert Trie.of(ids.codes).order.tolist() == list(range(items))[::-1]  # most popular first

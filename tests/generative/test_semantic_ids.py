import numpy as np

from generative.semantic_ids import learn_semantic_ids, reduced


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

"""Diversity: the same choice as a plain greedy search."""

import time

import numpy as np
import pytest

from retrieval.diversity import Cap, choose_diverse


def vectors_of(rng, items):
    vectors = rng.normal(size=(items, 8)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def naive(items, wanted, strength, vectors, caps):
    """Greedy search that follows the definition literally."""
    places, counts = [], [np.zeros(len(cap.holders), int) for cap in caps]
    while len(places) < wanted:
        best, most = None, -np.inf
        for item in range(items):
            own = [cap.holders[:, item] for cap in caps]
            full = any(
                (count[mine] >= cap.limit).any()
                for cap, count, mine in zip(caps, counts, own, strict=True)
            )
            if item in places or full:
                continue
            nearness = max((float(vectors[item] @ vectors[other]) for other in places), default=0)
            value = (1 - strength) * (1 - item / items) - strength * nearness
            if value > most:
                best, most = item, value
        if best is None:
            return places
        places.append(best)
        counts = [count + cap.holders[:, best] for cap, count in zip(caps, counts, strict=True)]
    return places


@pytest.mark.parametrize("seed", range(30))
def test_the_choice_equals_a_plain_greedy_search(seed):
    rng = np.random.default_rng(seed)
    items, wanted = int(rng.integers(1, 40)), int(rng.integers(1, 45))
    strength = float(rng.choice([0.0, 0.3, 0.7, 1.0]))
    vectors = vectors_of(rng, items)
    caps = [
        Cap(limit=int(rng.integers(1, 4)), holders=rng.random((values, items)) < 0.2)
        for values in rng.integers(1, 8, size=rng.integers(3))
    ]

    found = choose_diverse(items, wanted, strength=strength, vectors=vectors, caps=caps)

    assert found.tolist() == naive(items, wanted, strength, vectors, caps)
    for cap in caps:
        assert (cap.holders[:, found].sum(axis=1) <= cap.limit).all()


def test_without_strength_and_caps_the_order_is_unchanged():
    assert choose_diverse(50, 20).tolist() == list(range(20))


def test_diversity_of_a_whole_shortlist_takes_less_than_a_millisecond():
    rng = np.random.default_rng(0)
    vectors = vectors_of(rng, 200)
    caps = [Cap(limit=2, holders=rng.random((100, 200)) < 0.02)]

    taken = []
    for _ in range(50):
        started = time.thread_time()
        choose_diverse(200, 20, strength=0.5, vectors=vectors, caps=caps)
        taken.append(time.thread_time() - started)

    assert min(taken) < 1e-3

"""Diversity and calibration: the same choice as a plain greedy search."""

import time

import numpy as np
import pytest

from evaluation.variety import item_shares, miscalibration, value_shares
from profiles.attribute_values import AttributeValues
from retrieval.diversity import Cap, choose_diverse
from retrieval.taste import Taste


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


def values_of(rng, items, values):
    """An attribute of which items have none, one or two values."""
    owned = [np.sort(rng.permutation(values)[: rng.integers(3)]) for _ in range(items)]
    return AttributeValues(
        name="category",
        values=[f"c{value}" for value in range(values)],
        offsets=np.cumsum([0, *map(len, owned)]),
        numbers=np.concatenate([*owned, []]).astype(np.int32),
    )


@pytest.mark.parametrize("seed", range(20))
def test_the_calibrated_choice_has_the_least_divergence_of_the_report(seed):
    rng = np.random.default_rng(seed)
    attribute = values_of(rng, 40, int(rng.integers(2, 8)))
    of_items = item_shares(attribute.offsets, attribute.numbers, len(attribute.values))
    history, rows = rng.integers(40, size=6), rng.permutation(40)[: rng.integers(1, 30)]
    weight = float(rng.choice([0.2, 0.6, 1.0]))
    taste = Taste.of(attribute, history, rows)
    if taste is None:
        return

    found = choose_diverse(len(rows), 8, calibrated=weight, taste=taste).tolist()

    had, chosen = value_shares([history], of_items), []
    while len(chosen) < min(8, len(rows)):
        left = [place for place in range(len(rows)) if place not in chosen]
        gains = [
            (1 - weight) * (1 - place / len(rows))
            - weight * miscalibration(had, value_shares([rows[[*chosen, place]]], of_items))[0]
            for place in left
        ]
        most = max(gains)
        assert gains[left.index(found[len(chosen)])] == pytest.approx(most, abs=1e-9)
        chosen.append(found[len(chosen)])


def test_all_weight_on_calibration_gives_the_list_the_historys_shares():
    attribute = AttributeValues(
        name="category",
        values=["a", "b"],
        offsets=np.arange(21),
        numbers=np.repeat([0, 1], 10).astype(np.int32),
    )
    history = np.array([10, 11, 12, 0])  # three of b, one of a
    rows = np.arange(20)

    found = choose_diverse(20, 8, calibrated=1.0, taste=Taste.of(attribute, history, rows))

    assert (found >= 10).sum() == 6
    assert Taste.of(attribute, np.empty(0, np.int64), rows) is None


def test_calibration_of_a_whole_shortlist_takes_few_milliseconds():
    rng = np.random.default_rng(0)
    attribute = values_of(rng, 500, 60)
    rows, taken = rng.permutation(500)[:200], []
    for _ in range(30):
        started = time.thread_time()
        taste = Taste.of(attribute, rng.integers(500, size=100), rows)
        choose_diverse(200, 20, calibrated=0.5, taste=taste)
        taken.append(time.thread_time() - started)

    assert min(taken) < 3e-3


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

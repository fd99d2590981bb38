import numpy as np
import pytest

from profiles.interests import MOST, NEWEST, grouped, recency


def around(centre, count, spread=0.1, seed=0):
    """Unit vectors near an axis of 8 dimensions."""
    vectors = np.random.default_rng(seed).normal(scale=spread, size=(count, 8))
    vectors[:, centre] += 1
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_each_cluster_of_embeddings_is_a_group():
    vectors = np.concatenate([around(0, 6), around(3, 3, seed=1)])

    first, second = grouped(vectors, np.ones(9))

    assert first.members.tolist() == [0, 1, 2, 3, 4, 5]
    assert second.members.tolist() == [6, 7, 8]
    assert (first.weight, second.weight) == pytest.approx((6 / 9, 3 / 9))


def test_items_of_one_kind_are_one_group():
    assert len(grouped(np.tile(around(0, 1), (5, 1)), np.ones(5))) == 1


def test_the_medoid_has_the_least_distance_to_its_group():
    vectors = around(0, 20)

    (group,) = grouped(vectors, np.ones(20))[:1]

    inside = vectors[group.members]
    closest = group.members[np.argmax((inside @ inside.T).sum(axis=1))]
    assert group.typical[0] in group.members
    assert len(group.typical) == 3
    assert len(group.members) < 20 or group.typical[0] == closest


def test_every_item_is_in_exactly_one_group_and_the_weights_sum_to_one():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(NEWEST, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    groups = grouped(vectors, rng.random(NEWEST) + 0.1)

    members = np.sort(np.concatenate([group.members for group in groups]))
    assert members.tolist() == list(range(NEWEST))
    assert sum(group.weight for group in groups) == pytest.approx(1)
    assert 1 < len(groups) <= MOST
    assert [g.weight for g in groups] == sorted((g.weight for g in groups), reverse=True)


def test_the_order_of_the_items_does_not_change_the_groups():
    vectors, order = around(0, 9, spread=0.5), np.random.default_rng(1).permutation(9)

    def sets(found, rows):
        return {frozenset(rows[group.members].tolist()) for group in found}

    one = sets(grouped(vectors, np.ones(9)), np.arange(9))
    assert one == sets(grouped(vectors[order], np.ones(9)), order)


def test_an_empty_history_has_no_groups():
    assert grouped(np.empty((0, 8), np.float32), np.empty(0)) == []


def test_the_newest_interaction_counts_one_and_one_a_half_life_older_half():
    assert recency(31, 30)[[-1, 0]] == pytest.approx([1, 0.5])

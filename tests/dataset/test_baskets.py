import numpy as np

from dataset.baskets import FULL, PARTS, Baskets

KEPT = np.array([True, False, True, True])


def baskets():
    return Baskets(
        offsets=np.array([0, 2, 4]),
        items=np.array([5, 6, 7, 8], np.int32),
        times=np.array([1, 1, 2, 2]),
        actions=np.zeros(4, np.int32),
        splits=np.array([0, 2, 0, 0], np.uint8),
    )


def test_by_default_there_are_none():
    offsets, items = Baskets().after_users(
        np.array([0, 2]), np.array([1, 2], np.int32), kept=np.empty(0, bool)
    )

    assert len(Baskets()) == 0
    assert (offsets.tolist(), items.tolist()) == ([0, 2], [1, 2])


def test_baskets_follow_the_users_without_what_is_not_kept():
    offsets, items = baskets().after_users(
        np.array([0, 1, 3]), np.array([1, 2, 3], np.int32), kept=KEPT
    )

    assert offsets.tolist() == [0, 1, 3, 4, 6]
    assert items.tolist() == [1, 2, 3, 5, 7, 8]


def test_a_basket_counts_for_less_above_a_size():
    size = 4 * FULL
    large = Baskets(
        offsets=np.array([0, 2, 2 + size]),
        items=np.arange(2 + size, dtype=np.int32),
        splits=np.zeros(2 + size, np.uint8),
    )

    strengths = large.strengths(kept=np.ones(2 + size, bool))

    assert strengths.tolist() == [1.0] * 2 + [0.25] * size


def test_baskets_are_equal_after_saving_and_loading(tmp_path):
    for name, before in (("some", baskets()), ("none", Baskets())):
        (tmp_path / name).mkdir()
        before.save(tmp_path / name)
        after = Baskets.load(tmp_path / name)
        for part in PARTS:
            np.testing.assert_array_equal(getattr(before, part), getattr(after, part))

import numpy as np
import pytest

from dataset.training_examples import TrainingExamples
from towers.windows import windows


def shoppers(*baskets_of_users):
    """Training examples of users who bought distinct items in baskets of the given sizes."""
    items, user_starts, rows, ends, targets = [], [0], [], [], []
    for user, baskets in enumerate(baskets_of_users):
        for number, size in enumerate(baskets):
            before = len(items)
            items += range(before, before + size)
            if number:
                rows += [user] * size
                ends += [before] * size
                targets += range(before, before + size)
        user_starts.append(len(items))
    return TrainingExamples(
        items=np.array(items, np.int32),
        interaction_codes=np.zeros(len(items), np.int32),
        strengths=np.ones(len(items), np.float32),
        user_starts=np.array(user_starts),
        user_rows=np.array(rows),
        ends=np.array(ends),
        targets=np.array(targets, np.int32),
        weights=None,
    )


SHOPPERS = shoppers([1] * 4, [1] * 40, [7, 1, 1], [30, 2, 3], [1, 1], [5, 20, 3, 1, 1])


@pytest.mark.parametrize("length", [2, 8, 10, 100])
def test_every_example_is_predicted_once_from_a_window_that_ends_in_its_history(length):
    found = windows(SHOPPERS, length)

    assert found.examples[0] == 0
    assert found.examples[-1] == len(SHOPPERS)
    assert (np.diff(found.examples) > 0).all()
    for start, end, first, last in zip(
        found.starts, found.ends, found.examples[:-1], found.examples[1:], strict=True
    ):
        users = SHOPPERS.user_rows[first:last]
        assert len(set(users.tolist())) == 1
        assert 0 < end - start <= length
        assert start >= SHOPPERS.user_starts[users[0]]
        assert (SHOPPERS.ends[first:last] > start).all()
        assert end == SHOPPERS.ends[last - 1]


def test_a_short_history_is_one_window_from_its_start():
    found = windows(SHOPPERS, 100)

    assert len(found) == 6
    np.testing.assert_array_equal(found.starts, SHOPPERS.user_starts[:-1])


def test_an_example_sees_at_least_half_a_window_if_the_history_is_long_enough():
    found = windows(SHOPPERS, 10)
    window = np.searchsorted(found.examples, np.arange(len(SHOPPERS)), side="right") - 1
    seen = SHOPPERS.ends - found.starts[window]
    available = SHOPPERS.ends - SHOPPERS.user_starts[SHOPPERS.user_rows]

    assert (seen >= np.minimum(available, 5)).all()


def test_a_window_of_one_is_refused():
    with pytest.raises(ValueError, match="length"):
        windows(SHOPPERS, 1)

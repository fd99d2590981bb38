import numpy as np

from dataset.arrays import TRAIN, VALID, Dataset, StringColumn
from dataset.training_examples import training_examples


def data(items, times, splits=None, offsets=None):
    items = np.array(items, np.int32)
    names = [str(row) for row in range(10)]
    return Dataset(
        item_ids=StringColumn.of(names),
        titles=StringColumn.of(names),
        texts=StringColumn.of(names),
        user_ids=StringColumn.of(names),
        offsets=np.array([0, len(items)] if offsets is None else offsets),
        items=items,
        times=np.array(times),
        timed=False,
        moments=np.array(times, np.int32),
        actions=np.zeros(len(items), np.int32),
        action_names=[],
        splits=np.array([TRAIN] * len(items) if splits is None else splits, np.uint8),
        popularity=np.zeros(10, np.int64),
    )


def pairs(data, **options):
    examples = training_examples(data, **options)
    return [
        (examples.history(example).tolist(), int(target))
        for example, target in enumerate(examples.targets)
    ]


def test_every_interaction_with_a_history_is_a_training_example():
    assert pairs(data([4, 2, 7], [1, 2, 3])) == [([4], 2), ([4, 2], 7)]


def test_items_of_one_time_are_not_in_each_others_history():
    assert pairs(data([4, 2, 7, 1], [1, 1, 2, 2])) == [([4, 2], 7), ([4, 2], 1)]


def test_within_baskets_adds_examples_that_complete_a_basket():
    found = pairs(data([4, 2, 7, 1, 4], [1, 1, 2, 2, 2]), within_baskets=True)

    assert found == [([4], 2), ([4, 2], 7), ([4, 2], 1), ([4, 2, 7], 1)]


def test_a_repeated_item_is_in_the_history_but_is_no_target():
    assert pairs(data([4, 2, 4, 7], [1, 2, 3, 4])) == [([4], 2), ([4, 2, 4], 7)]


def test_only_the_training_split_is_used():
    assert pairs(data([4, 2, 7], [1, 2, 3], splits=[TRAIN, TRAIN, VALID])) == [([4], 2)]


def test_users_of_one_moment_give_no_examples():
    assert pairs(data([4, 2, 7], [1, 1, 1])) == []
    assert pairs(data([], [], offsets=[0])) == []


def test_a_history_never_reaches_into_another_user():
    assert pairs(data([4, 2, 7, 1], [5, 6, 6, 7], offsets=[0, 2, 4])) == [([4], 2), ([7], 1)]


def test_positives_are_all_of_the_users_training_items():
    examples = training_examples(data([4, 2, 7, 1], [5, 6, 6, 7], offsets=[0, 2, 4]))

    assert examples.positives(1).tolist() == [7, 1]

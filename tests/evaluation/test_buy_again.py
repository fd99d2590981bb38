import numpy as np

from evaluation.buy_again import DAY, buy_again_lists


def again(history, days, *, weights=None, excluded=(), k=3):
    ages = DAY * np.array(days)
    given = np.ones(len(history)) if weights is None else np.array(weights)
    lists = buy_again_lists(
        [np.array(history, np.int32)], [ages], [given], k, excluded=[np.array(excluded, np.int32)]
    )
    return lists[0].tolist()


def test_what_was_bought_most_comes_first_and_old_purchases_halve():
    assert again([5, 7, 5], [9, 8, 7]) == [5, 7, -1]
    assert again([5, 5, 7], [130, 125, 1]) == [7, 5, -1]  # 0.24 + 0.22 against 0.99


def test_weights_of_actions_count_and_equal_items_are_newest_first():
    assert again([5, 7, 7], [1, 1, 1], weights=[1, 0.125, 0.125]) == [5, 7, -1]
    assert again([5, 7, 9], [1, 1, 1], k=2) == [9, 7]


def test_excluded_items_are_left_out():
    assert again([5, 7, 9], [1, 1, 1], excluded=[9]) == [7, 5, -1]

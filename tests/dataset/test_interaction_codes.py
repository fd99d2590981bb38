from dataclasses import replace

import numpy as np
import pytest

from dataset.arrays import TEST, VALID
from dataset.cases import places_among
from dataset.interaction_codes import DAY, GAPS, HOUR, MINUTE, action_numbers, interaction_codes

FIRST = np.zeros(1, np.int64)


@pytest.mark.parametrize(
    ("seconds", "gap"),
    [
        (0, 1),
        (1, 2),
        (MINUTE - 1, 2),
        (MINUTE, 3),
        (HOUR, 4),
        (DAY, 5),
        (7 * DAY, 6),
        (28 * DAY, 7),
        (182 * DAY, 8),
        (9_999 * DAY, 8),
    ],
)
def test_the_kind_of_a_gap_depends_on_its_length(seconds, gap):
    found = interaction_codes(np.array([1_000, 1_000 + seconds]), np.zeros(2, np.int32), FIRST)

    assert found.tolist() == [0, gap]
    assert gap < GAPS


def test_the_first_gap_of_every_history_is_unknown():
    times = np.array([5, 5, 900, 900, 901])

    assert interaction_codes(times, np.zeros(5, np.int32), np.array([0, 2, 5])).tolist() == [
        0,
        1,
        0,
        1,
        2,
    ]


def test_gap_and_action_can_be_read_from_a_code():
    found = interaction_codes(np.array([5, 5]), np.array([2, 1]), FIRST)

    assert (found // GAPS).tolist() == [2, 1]
    assert (found % GAPS).tolist() == [0, 1]


def test_without_times_all_gaps_are_unknown():
    assert interaction_codes(None, np.array([0, 2]), FIRST).tolist() == [0, 2 * GAPS]
    assert interaction_codes(None, np.zeros(0, np.int32), FIRST).tolist() == []


def test_an_unknown_action_has_number_0():
    numbers = action_numbers(["view", "wish", "", "buy"], {"buy": 1, "view": 2})

    assert numbers.tolist() == [2, 0, 0, 1]


@pytest.mark.parametrize("before", [VALID, TEST])
def test_codes_of_one_user_equal_those_computed_for_all_users(shop, before):
    kept = shop.splits < before
    starts = places_among(kept)[shop.offsets[:-1]]
    every, row = shop.codes(kept, starts), 0
    for user in range(shop.users):
        own = shop.history_codes(user, before=before)
        assert own.tolist() == every[row : row + len(own)].tolist()
        row += len(own)
    assert row == len(every)


def test_later_interactions_do_not_change_the_codes_of_a_history(shop):
    changed = shop.times.copy()
    changed[shop.splits == TEST] += 10 * DAY

    later = replace(shop, times=changed).cases("test")

    for known, same in zip(
        later.interaction_codes, shop.cases("test").interaction_codes, strict=True
    ):
        np.testing.assert_array_equal(known, same)

from collections import Counter

import numpy as np
import pytest

from online.experiments.interleaving import Team, draft, preference

FIRST, SECOND, NEITHER = Team.FIRST, Team.SECOND, Team.NEITHER


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_each_round_has_the_best_remaining_item_of_both_lists(rng):
    drafts = Counter(
        tuple(zip(drafted.items, drafted.teams, strict=True))
        for drafted in (draft("abc", "bcd", 3, rng) for _ in range(400))
    )

    assert set(drafts) == {
        (("a", FIRST), ("b", SECOND), ("c", NEITHER)),
        (("b", SECOND), ("a", FIRST), ("c", NEITHER)),
    }
    assert all(170 < count < 230 for count in drafts.values())


def test_equal_lists_say_nothing(rng):
    drafted = draft([3, 1, 2], [3, 1, 2], 2, rng)

    assert (drafted.items, drafted.teams) == ([3, 1], [NEITHER] * 2)


def test_items_behind_the_shorter_list_belong_to_no_team(rng):
    drafted = draft("a", "bcd", 9, rng)

    assert sorted(drafted.items[:2]) == ["a", "b"]
    assert drafted.items[2:] == ["c", "d"]
    assert drafted.teams[2:] == [NEITHER] * 2
    assert draft([], [], 5, rng).items == []


def test_both_teams_get_each_place_equally_often(rng):
    lists = list(range(0, 40, 2)), list(range(1, 41, 2))

    teams = np.array([draft(*lists, 5, rng).teams for _ in range(2000)])

    np.testing.assert_allclose((teams == SECOND).mean(axis=0), 0.5, atol=0.05)


def test_clicks_that_follow_the_place_alone_prefer_no_list(rng):
    teams = np.array([draft(range(10), range(10, 20), 5, rng).teams for _ in range(3000)])
    clicks = rng.random((3000, 5)) < [0.5, 0.3, 0.2, 0.1, 0.1]

    interval = preference(np.arange(3000) // 3, teams, clicks.astype(float)).interval()

    assert interval["low"] < 0 < interval["high"]


def test_a_preference_is_the_share_of_clicks_that_one_list_is_ahead():
    teams = np.array([[1, 2, 0], [2, 1, 0], [2, 1, 0], [1, 2, 0]], np.int8)
    clicks = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0], [0, 0, 1]], float)

    found = preference(np.array([7, 7, 8, 9]), teams, clicks)

    assert found.value == pytest.approx((3 - 1) / 4)
    assert found.users == 3


def test_without_clicks_on_a_team_there_is_no_preference():
    with pytest.raises(ValueError, match="clicks must have one on an item of either team"):
        preference(np.zeros(1, int), np.zeros((1, 2), np.int8), np.ones((1, 2)))

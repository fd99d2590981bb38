import logging
from dataclasses import replace

import numpy as np
import pytest

from dataset.arrays import StringColumn
from dataset.validation_users import FEWEST, ValidationUsers
from tests.conftest import make_shop

CHOICES = ("stop", "weigh", "choose", "gate")


def test_no_user_makes_two_choices_and_none_who_judges_the_ranker_teaches_it():
    users = ValidationUsers.of(make_shop(users=800))

    parts = [getattr(users, choice).user_rows for choice in CHOICES]
    assert len(np.unique(np.concatenate(parts))) == sum(map(len, parts))
    assert not np.isin(users.learn.user_rows, np.concatenate(parts[2:])).any()
    assert len(users.learn) + len(users.choose) + len(users.gate) == 800
    shares = [len(part) / 800 for part in parts]
    np.testing.assert_allclose(shares, [0.25, 0.25, 0.125, 0.125], atol=0.05)


def test_a_user_keeps_the_part_when_others_come():
    few, many = (ValidationUsers.of(make_shop(users=users)) for users in (400, 800))

    for choice in CHOICES:
        before, after = (getattr(users, choice).user_rows for users in (few, many))
        np.testing.assert_array_equal(before, after[after < 400])


@pytest.mark.parametrize("users", [1, 2, 60, FEWEST - 1])
def test_few_users_make_every_choice_together_and_one_line_says_so(users, caplog):
    found = ValidationUsers.of(make_shop(users=users))

    (line,) = caplog.messages
    assert line.startswith(f"{users} validation users are fewer than {FEWEST}: the same")
    for choice in CHOICES:
        assert len(getattr(found, choice)) == max(users // 4, 1)
    assert len(found.learn)
    if users > 1:
        assert not np.isin(found.learn.user_rows, found.gate.user_rows).any()


def test_without_validation_users_all_parts_are_empty():
    shop = make_shop(users=3)
    found = ValidationUsers.of(replace(shop, splits=np.zeros_like(shop.splits)))

    assert not any(len(getattr(found, part)) for part in (*CHOICES, "learn"))


def test_enough_users_are_divided_without_a_word(caplog):
    caplog.set_level(logging.INFO)

    ValidationUsers.of(make_shop(users=FEWEST))

    assert not caplog.messages


def test_the_parts_depend_on_the_ids_alone():
    shop = make_shop(users=400)
    renamed = replace(shop, user_ids=StringColumn.of([f"other{row}" for row in range(400)]))

    first, other = (ValidationUsers.of(data).gate.user_rows for data in (shop, renamed))

    assert first.tolist() != other.tolist()

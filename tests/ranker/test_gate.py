import numpy as np
import pytest

from evaluation.paired_gain import Gain, paired_gain
from ranker.gate import verdict


def test_a_gain_within_one_standard_error_does_not_pay():
    before = np.zeros(100)
    after = np.tile([0.3, -0.3, 0.3, -0.25], 25)  # mean .0125, standard error about .029

    gain = paired_gain(before, after, np.arange(100))

    assert gain.mean == pytest.approx(0.0125)
    assert gain.standard_error == pytest.approx(after.std(ddof=1) / 10)
    assert not gain.pays


def test_a_small_gain_of_every_user_pays():
    """The users differ widely, their differences do not."""
    before = np.random.default_rng(0).random(50)

    assert paired_gain(before, before + 0.01, np.arange(50)).pays


@pytest.mark.parametrize("users", [0, 1])
def test_one_user_decides_nothing(users):
    assert not paired_gain(np.zeros(users), np.ones(users), np.arange(users)).pays


def test_copies_of_the_same_cases_make_no_gain_more_certain():
    before, after = np.zeros(40), np.random.default_rng(0).normal(0.02, 0.3, 40)
    users = np.arange(40)

    once = paired_gain(before, after, users)
    nine_times = paired_gain(*(np.tile(values, 9) for values in (before, after, users)))

    assert nine_times.mean == pytest.approx(once.mean)
    assert nine_times.standard_error == pytest.approx(once.standard_error)
    assert nine_times.users == 40


@pytest.mark.parametrize(
    ("shared", "who"),
    [(False, "who chose nothing else"), (True, "who made the other choices, too")],
)
def test_the_verdict_says_whether_its_users_made_other_choices(shared, who):
    gain = Gain(before=0.1, after=0.12, standard_error=0.01, users=7)

    assert verdict(gain, shared=shared) == (
        "ranking pays: NDCG@10 0.1200 against 0.1000 of the shortlist, gain +0.0200 ± 0.0100 over "
        f"7 users {who}"
    )

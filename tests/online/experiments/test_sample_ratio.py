import pytest

from online.experiments.sample_ratio import SampleRatioError, check_sample_ratio


def test_counts_by_chance_pass():
    assert check_sample_ratio({"a": 5060, "b": 4940}, {"a": 1, "b": 1}) == pytest.approx(
        0.230, abs=1e-3
    )
    assert check_sample_ratio({"a": 100, "b": 300}, {"a": 1, "b": 3}) == 1


def test_an_arm_that_lost_users_is_named_with_its_share():
    with pytest.raises(SampleRatioError, match=r"users of new must be 50\.00% of all, got 47\.92%"):
        check_sample_ratio({"control": 5000, "new": 4600}, {"control": 1, "new": 1})


@pytest.mark.parametrize(
    ("users", "message"),
    [({"a": 1}, r"users must have the arms \['a', 'b'\]"), ({"a": 0, "b": 0}, "must not be 0")],
)
def test_counts_that_say_nothing_are_refused(users, message):
    with pytest.raises(ValueError, match=message):
        check_sample_ratio(users, {"a": 1, "b": 1})

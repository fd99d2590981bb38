import numpy as np
import pytest

from online.estimate import difference, linearised, mean
from online.experiments.always_valid import always_valid
from online.experiments.comparison import Totals, compare
from online.experiments.experiment import Arm, Experiment
from online.experiments.sample_ratio import SampleRatioError

TEST = Experiment(name="test", arms=[Arm(name="control"), Arm(name="new")])


def totals(rate, users=3000, seed=0):
    rng = np.random.default_rng(seed)
    eager = rng.lognormal(sigma=0.5, size=users)
    shown = 1 + rng.poisson(20 * eager)
    return Totals(
        numerators=rng.binomial(shown, np.minimum(rate * eager, 1)) + 0.0,
        denominators=shown + 0.0,
        before=rng.poisson(8 * eager) + 0.0,
    )


@pytest.mark.parametrize(
    ("rate", "verdict"), [(0.13, "better"), (0.07, "worse"), (0.1, "undecided")]
)
def test_an_arm_is_told_better_or_worse_where_that_is_certain(rate, verdict):
    found = compare(TEST, {"control": totals(0.1), "new": totals(rate, seed=1)}, planned_users=8000)

    assert found["new"].verdict == verdict
    assert found["new"].lift["value"] == pytest.approx(
        found["new"].gain["value"] / found["new"].control.value
    )


def test_without_a_figure_from_before_the_interval_is_the_plain_one():
    arms = {
        name: Totals(numerators=each.numerators, denominators=each.denominators)
        for name, each in (("control", totals(0.1)), ("new", totals(0.11, seed=1)))
    }

    found = compare(TEST, arms, planned_users=8000)["new"]

    rates = {
        name: mean(linearised(each.numerators, each.denominators)) for name, each in arms.items()
    }
    assert found.gain == always_valid(difference(rates["new"], rates["control"]), 8000)
    assert found.control == rates["control"]


def test_a_figure_from_before_narrows_the_interval():
    arms = {"control": totals(0.1), "new": totals(0.11, seed=1)}
    plain = {
        name: Totals(numerators=each.numerators, denominators=each.denominators)
        for name, each in arms.items()
    }

    def width(given):
        gain = compare(TEST, given, planned_users=8000)["new"].gain
        return gain["high"] - gain["low"]

    assert width(arms) < 0.95 * width(plain)


def test_several_arms_share_the_error():
    arms = [Arm(name="control"), Arm(name="a"), Arm(name="b"), Arm(name="c")]
    many = Experiment(name="many", arms=arms)
    figures = {arm.name: Totals(numerators=totals(0.1).numerators) for arm in arms}

    found = compare(many, figures, planned_users=12_000)

    pair = difference(*(mean(figures[name].numerators) for name in ("a", "control")))
    assert set(found) == {"a", "b", "c"}
    assert found["a"].gain == always_valid(pair, 6000, 1 - 0.05 / 3)


def test_arms_that_lost_users_are_not_compared():
    with pytest.raises(SampleRatioError, match=r"users of new must be 50\.00% of all"):
        compare(TEST, {"control": totals(0.1), "new": totals(0.1, users=2000)}, planned_users=1)


def test_a_figure_from_before_is_given_for_all_arms_or_none():
    bare = Totals(numerators=totals(0.1).numerators)

    with pytest.raises(ValueError, match="before must be given for all 2 arms, got 1"):
        compare(TEST, {"control": totals(0.1), "new": bare}, planned_users=1)

from collections import Counter
from dataclasses import replace

import pytest
from scipy.stats import chi2_contingency, chisquare

from online.experiments.assignment import arm_of, assigned, hashed
from online.experiments.experiment import Arm, Experiment, Experiments

CONTROL, NEW = Arm(name="control"), Arm(name="new", weight=3)
TEST = Experiment(name="test", arms=[CONTROL, NEW], state="running")
USERS = [f"user {n}" for n in range(4000)]


def arms(experiment, users=USERS):
    """Name of each user's arm, or None."""
    found = [arm_of(experiment, user) for user in users]
    return [arm and arm.name for arm in found]


def test_a_hash_is_the_same_on_every_server_and_in_every_version():
    assert hashed("arm", "test", "user 1") == pytest.approx(0.8136225514, abs=1e-9)


def test_each_arm_has_its_weight_of_the_users():
    counts = Counter(arms(TEST))

    assert chisquare([counts["control"], counts["new"]], [1000, 3000]).pvalue > 0.001


def test_a_ramp_moves_nobody_who_takes_part():
    before = arms(replace(TEST, ramp=0.2))
    after = arms(replace(TEST, ramp=0.7))

    assert all(new == old for old, new in zip(before, after, strict=True) if old)
    assert sum(map(bool, before)) / len(USERS) == pytest.approx(0.2, abs=0.02)
    assert sum(map(bool, after)) / len(USERS) == pytest.approx(0.7, abs=0.02)


def test_a_user_has_one_arm_at_most_of_a_layer():
    first = replace(TEST, name="first", layer="ranking", users=(0, 0.5))
    second = replace(TEST, name="second", layer="ranking", users=(0.5, 1))

    found = [assigned(Experiments(experiments=[first, second]), user) for user in USERS]

    assert all(len(each) == 1 for each in found)
    assert {name for each in found for name in each} == {"first", "second"}


def test_arms_of_different_layers_are_independent():
    pairs = Counter(zip(arms(TEST), arms(replace(TEST, name="other")), strict=True))

    table = [[pairs[a, b] for b in ("control", "new")] for a in ("control", "new")]
    assert chi2_contingency(table).pvalue > 0.001


def test_who_takes_part_says_nothing_about_the_arm():
    within = Counter(arms(replace(TEST, ramp=0.5)))

    assert within["new"] / (within["new"] + within["control"]) == pytest.approx(0.75, abs=0.03)


def test_another_name_or_key_assigns_anew():
    named = arms(replace(TEST, name="again"))
    keyed = [arm_of(TEST, user, "secret").name for user in USERS]

    for other in (named, keyed):
        same = sum(map(str.__eq__, arms(TEST), other)) / len(USERS)
        assert same == pytest.approx(0.75**2 + 0.25**2, abs=0.03)


@pytest.mark.parametrize("state", ["planned", "stopped"])
def test_only_a_running_experiment_has_users(state):
    assert arm_of(replace(TEST, state=state), "user 1") is None


def test_strangers_take_part_in_none():
    assert assigned(Experiments(experiments=[TEST]), "") == {}

import pytest

from online.experiments.experiment import Arm, Experiment, Experiments, read_experiments

ARMS = [Arm(name="control"), Arm(name="new")]
FILE = """
key: a secret
experiments:
  - name: ranker-2
    layer: ranking
    users: [0, 0.5]
    ramp: 0.1
    state: running
    arms:
      - name: control
      - {name: new, weight: 2, release: 20261201-101500}
  - name: varied
    kind: interleaved
    arms: [{name: plain}, {name: varied, diversity: 0.3}]
"""


def test_experiments_are_read_from_a_file(tmp_path):
    (tmp_path / "experiments.yaml").write_text(FILE)

    found = read_experiments(tmp_path / "experiments.yaml")

    first, second = found.experiments
    assert found.key == "a secret"
    assert (first.name, first.layer, first.users, first.ramp) == (
        *("ranker-2", "ranking"),
        *((0, 0.5), 0.1),
    )
    assert first.arms[1] == Arm(name="new", weight=2, release="20261201-101500")
    assert (second.kind, second.state, second.arms[1].diversity) == ("interleaved", "planned", 0.3)


def test_a_mistyped_field_of_a_file_is_refused(tmp_path):
    (tmp_path / "experiments.yaml").write_text(FILE.replace("ramp", "rampe"))

    with pytest.raises(ValueError, match="rampe"):
        read_experiments(tmp_path / "experiments.yaml")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": "a b"}, "name of an experiment must be 1 to 64 letters"),
        ({"arms": ARMS[:1]}, "arms of test must be two or more of different names"),
        ({"arms": [*ARMS, ARMS[0]]}, "arms of test must be two or more of different names"),
        (
            {"arms": [*ARMS, Arm(name="more")], "kind": "interleaved"},
            "arms of test must be two to interleave, got 3",
        ),
        ({"users": (0.5, 0.5)}, "users of test must rise within 0 and 1"),
        ({"ramp": 1.5}, "ramp of test must be 0 to 1, got 1.5"),
        ({"layer": "a/b"}, "layer of test must be 1 to 64 letters"),
    ],
)
def test_an_experiment_that_breaks_a_rule_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        Experiment(**{"name": "test", "arms": ARMS, **changed})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"weight": 0}, "weight of new must be positive, got 0"),
        ({"diversity": 2}, "diversity of new must be 0 to 1, got 2"),
        ({"name": ""}, "name of an arm must be 1 to 64 letters"),
    ],
)
def test_an_arm_that_breaks_a_rule_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        Arm(**{"name": "new", **changed})


def test_experiments_of_one_layer_reserve_different_users():
    first = Experiment(name="a", arms=ARMS, layer="ranking", users=(0, 0.6))
    second = Experiment(name="b", arms=ARMS, layer="ranking", users=(0.5, 1))

    with pytest.raises(ValueError, match="users of b must not overlap those of a in layer ranking"):
        Experiments(experiments=[second, first])

    stopped = Experiment(name="a", arms=ARMS, layer="ranking", users=(0, 0.6), state="stopped")
    assert Experiments(experiments=[second, stopped])


def test_a_name_belongs_to_one_experiment():
    with pytest.raises(ValueError, match="experiments must have different names, got a twice"):
        Experiments(experiments=[Experiment(name="a", arms=ARMS)] * 2)

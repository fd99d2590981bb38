import numpy as np
import pytest

from benchmarks.language.comparison import Measured, averaged, compared
from benchmarks.language.results import SECONDS, Results


def test_a_finished_system_is_not_made_again(tmp_path):
    results, made = Results(folder=tmp_path, made_from={"files": "1"}), []

    def make():
        made.append(1)
        return {"classes": np.arange(3)}

    first = results.of("a peer, all", {"draw": 0}, make)
    again = results.of("a peer, all", {"draw": 0}, make)
    results.of("a peer, all", {"draw": 1}, make)

    assert len(made) == 2
    np.testing.assert_array_equal(first["classes"], again["classes"])
    assert float(again[SECONDS]) >= 0


def test_other_data_make_a_system_again(tmp_path):
    Results(folder=tmp_path, made_from={"files": "1"}).of("peer", {}, lambda: {"a": np.zeros(1)})

    found = Results(folder=tmp_path, made_from={"files": "2"}).of(
        "peer", {}, lambda: {"a": np.ones(1)}
    )

    assert found["a"] == 1


def test_an_interrupted_system_leaves_nothing(tmp_path):
    def fail():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Results(folder=tmp_path, made_from={}).of("peer", {}, fail)

    assert not list(tmp_path.iterdir())


def measured(values, **plain):
    return Measured(values={"accuracy": np.array(values, float)}, plain=plain, seconds=1.0)


def test_differences_are_paired_by_case():
    rng = np.random.default_rng(0)
    peer = rng.random(200)

    found = compared("x", {"ours": measured(peer + 0.1), "peer": measured(peer)})

    difference = found.differences["ours"]["peer"]["accuracy"]
    assert difference["low"] == pytest.approx(0.1)  # unpaired, the interval would have a width
    assert difference["high"] == pytest.approx(0.1)


def test_a_system_of_several_trainings_has_their_mean():
    found = averaged([measured([0, 1, 1], f1=0.4), measured([1, 1, 0], f1=0.6)])

    assert found.values["accuracy"].tolist() == [0.5, 1, 0.5]
    assert found.plain == {"f1": 0.5}

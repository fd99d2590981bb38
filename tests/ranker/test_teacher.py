"""What the teacher says comes from lists that it has not seen."""

import numpy as np
import pytest
from scipy.special import log_softmax

from ranker import teacher
from ranker.shortlists import Shortlists

LISTS, SIZE = 160, 20


@pytest.fixture
def shortlists(tmp_path):
    """The last places of some lists are empty; some users are not learnt from."""
    rng = np.random.default_rng(0)
    made = Shortlists.create(tmp_path, np.arange(LISTS + 10), LISTS, SIZE, 3)
    made.rows[:] = np.stack([rng.permutation(500)[:SIZE] for _ in range(LISTS + 10)])
    made.rows[::3, -4:] = -1
    made.signals[:] = rng.normal(size=made.signals.shape)
    made.scores[:] = rng.normal(size=made.scores.shape)
    return made


def told(shortlists, targets):
    """Logarithm of the chance that the teacher gives to what was bought, nats."""
    said = log_softmax(teacher.opinions(shortlists, targets, seed=0), axis=1)
    rows = shortlists.rows[:LISTS]
    bought = np.stack([np.isin(*pair) for pair in zip(rows, targets[:LISTS], strict=True)])
    return said[bought].mean()


def targets_by(shortlists, values):
    best = np.where(shortlists.rows >= 0, values, -np.inf).argmax(axis=1)
    return [rows[[place]] for rows, place in zip(shortlists.rows, best, strict=True)]


def test_what_signals_tell_of_purchases_is_told(shortlists):
    assert told(shortlists, targets_by(shortlists, shortlists.signals[:, :, 2])) > -1.0


def test_what_the_shortlist_tells_counts_too(shortlists):
    assert told(shortlists, targets_by(shortlists, shortlists.scores)) > -1.0


def test_of_a_list_nothing_is_remembered(shortlists):
    """Trees that had seen the lists would know by heart what was bought by chance."""
    by_chance = np.random.default_rng(1).normal(size=shortlists.scores.shape)

    assert told(shortlists, targets_by(shortlists, by_chance)) == pytest.approx(
        -np.log(SIZE), abs=0.15
    )


def test_empty_places_have_no_chance(shortlists):
    said = teacher.opinions(shortlists, targets_by(shortlists, shortlists.scores), seed=0)

    assert said.shape == (LISTS, SIZE)
    assert said.dtype == np.float32
    np.testing.assert_array_equal(said == np.float32(teacher.NOTHING), shortlists.rows[:LISTS] < 0)


def test_the_same_is_said_again_and_read_where_it_was_kept(shortlists, tmp_path, monkeypatch):
    targets = targets_by(shortlists, shortlists.scores)
    path = tmp_path / "training" / "opinions.npy"
    kept = teacher.kept_opinions(path, shortlists, targets, 0)

    np.testing.assert_array_equal(kept, teacher.opinions(shortlists, targets, 0))
    monkeypatch.setattr(teacher, "opinions", None)
    np.testing.assert_array_equal(teacher.kept_opinions(path, shortlists, targets, 0), kept)
    assert [file.name for file in path.parent.iterdir()] == ["opinions.npy"]


def test_a_single_list_has_nobody_to_judge_it(tmp_path):
    alone = Shortlists.create(tmp_path, np.arange(1), 1, 4, 2)
    alone.rows[:] = np.arange(4)

    said = teacher.opinions(alone, [np.array([2])], seed=0)

    assert np.ptp(said) == 0

import numpy as np
import pytest

from benchmarks import lambdarank
from ranker.shortlists import Shortlists

LISTS, SIZE = 80, 20


@pytest.fixture(scope="module")
def shortlists(tmp_path_factory):
    """What was bought has the largest third signal; the last places of some lists are empty."""
    rng = np.random.default_rng(0)
    made = Shortlists.create(tmp_path_factory.mktemp("lists"), np.arange(LISTS), 60, SIZE, 3)
    made.rows[:] = np.stack([rng.permutation(500)[:SIZE] for _ in range(LISTS)])
    made.rows[::3, -4:] = -1
    made.signals[:] = rng.normal(size=made.signals.shape)
    return made


@pytest.fixture(scope="module")
def targets(shortlists):
    best = np.where(shortlists.rows >= 0, shortlists.signals[:, :, 2], -np.inf).argmax(axis=1)
    return [rows[[place]] for rows, place in zip(shortlists.rows, best, strict=True)]


def test_trees_learn_which_signal_tells(shortlists, targets):
    trees = lambdarank.fit(shortlists, targets, seed=0)

    first = []
    for place in range(60, LISTS):
        known = shortlists.rows[place] >= 0
        rows, signals = shortlists.rows[place][known], shortlists.signals[place][known]
        ranked = lambdarank.rank(trees, rows, signals)
        assert sorted(ranked) == sorted(rows)
        first.append(int(np.flatnonzero(ranked == targets[place][0])[0]))
    assert np.mean(first) < 1.5


def test_a_list_without_candidates_stays_empty(shortlists, targets):
    trees = lambdarank.fit(shortlists, targets, seed=0)

    rows = lambdarank.rank(trees, np.empty(0, np.int32), np.empty((0, 3), np.float32))

    assert len(rows) == 0

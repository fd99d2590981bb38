import numpy as np
import pytest

from benchmarks.quality import lambdarank
from ranker.shortlists import Shortlists

LISTS, SIZE = 80, 20


@pytest.fixture(scope="module")
def shortlists(tmp_path_factory):
    """The bought item has the largest third feature; some lists end with padding."""
    rng = np.random.default_rng(0)
    made = Shortlists.create(
        tmp_path_factory.mktemp("lists"), np.arange(LISTS), (60, LISTS - 60), SIZE, ["a", "b", "c"]
    )
    made.rows[:] = np.stack([rng.permutation(500)[:SIZE] for _ in range(LISTS)])
    made.rows[::3, -4:] = -1
    made.features[:] = rng.normal(size=made.features.shape)
    return made


@pytest.fixture(scope="module")
def targets(shortlists):
    best = np.where(shortlists.rows >= 0, shortlists.features[:, :, 2], -np.inf).argmax(axis=1)
    return [rows[[place]] for rows, place in zip(shortlists.rows, best, strict=True)]


def test_trees_rank_by_the_feature_that_predicts_purchases(shortlists, targets):
    trees = lambdarank.fit(shortlists, targets, seed=0)

    present = [shortlists.rows[place] >= 0 for place in range(60, LISTS)]
    lists = [
        (shortlists.rows[place][mask], shortlists.features[place][mask])
        for place, mask in enumerate(present, 60)
    ]
    ranked = lambdarank.rank(trees, lists, SIZE)
    for (rows, _), order in zip(lists, ranked, strict=True):
        assert sorted(order[: len(rows)]) == sorted(rows)
        assert (order[len(rows) :] == -1).all()
    wanted = np.array([target[0] for target in targets[60:]])
    assert np.argwhere(ranked == wanted[:, None])[:, 1].mean() < 1.5


def test_the_seed_matters_only_where_bins_come_from_a_sample(shortlists, monkeypatch):
    assert not lambdarank.drawn(shortlists)
    monkeypatch.setattr(lambdarank, "BINNED", 500)
    assert lambdarank.drawn(shortlists)


def test_a_list_without_candidates_stays_empty(shortlists, targets):
    trees = lambdarank.fit(shortlists, targets, seed=0)
    empty = (np.empty(0, np.int32), np.empty((0, 3), np.float32))
    full = shortlists.rows[0], shortlists.features[0]

    ranked = lambdarank.rank(trees, [empty, full, empty], SIZE)

    assert (ranked[[0, 2]] == -1).all()
    assert sorted(ranked[1]) == sorted(shortlists.rows[0])
    assert (lambdarank.rank(trees, [empty], SIZE) == -1).all()

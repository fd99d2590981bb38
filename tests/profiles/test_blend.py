import numpy as np
import pytest

from profiles.blend import Blend, Learnt, load_learnt, plain, save_learnt
from profiles.evidence import (
    HALF_LIVES,
    NAMES,
    PLAIN,
    Items,
    Popularity,
    evidence,
    history_weights,
    shortlist_weights,
)
from profiles.learn import fit

EQUAL = Popularity(always=np.full(4, 0.25), of_late=np.full(4, 0.25), left=np.full(4, 0.25))


def items(numbers, weights):
    return Items(
        places=np.arange(len(numbers)), numbers=np.array(numbers, np.int64), weights=weights
    )


def found(history, shortlist=(), *, several=False, popularity=EQUAL):
    return evidence(
        items(history, history_weights(np.ones(len(history)))),
        items(shortlist, shortlist_weights(np.zeros(len(shortlist)))),
        popularity,
        several=several,
    )


def test_all_rows_of_evidence_sum_to_one():
    np.testing.assert_allclose(found([0, 1, 1], [2, 2]).shares.sum(axis=1), 1)


def test_values_outside_the_candidates_share_one_column():
    many = np.full(500, 1 / 500)
    popularity = Popularity(always=many, of_late=many, left=many)

    of = found([300], [301], popularity=popularity)

    assert of.rest
    assert len(of.numbers) == 62
    assert of.shares.shape == (len(NAMES), 63)
    np.testing.assert_allclose(of.shares.sum(axis=1), 1)


def test_plain_probabilities_are_smoothed_shares_of_the_history():
    of_long = plain(found([0] * 30 + [1] * 10))

    assert of_long == pytest.approx([30.25 / 41, 10.25 / 41, 0.25 / 41, 0.25 / 41], rel=0.02)
    assert plain(found([])) == pytest.approx([0.25] * 4)


def test_newer_items_count_more_with_a_shorter_half_life():
    shares = found([0, 0, 0, 1]).shares

    of_one = shares[: len(HALF_LIVES), 1]
    assert (np.diff(of_one) > 0).all()


def test_a_short_shortlist_of_one_value_leaves_the_others_a_little():
    assert found([], [2]).shares[len(HALF_LIVES), 2] == pytest.approx(0.98 + 0.02 / 4)


def cases(rng, count, several):
    """Cases whose next value follows the newest item of the history nine times of ten."""
    evidences, targets = [], []
    for _ in range(count):
        history = rng.integers(4, size=6)
        following = history[-1] if rng.random() < 0.9 else rng.integers(4)
        evidences.append(
            evidence(
                items(history, history_weights(np.ones(6))),
                items(rng.integers(4, size=5), shortlist_weights(np.zeros(5))),
                EQUAL,
                0.1 + 0.6 * np.eye(4)[history[-1]],
                several=several,
            )
        )
        targets.append(np.eye(4)[following])
    return evidences, targets


@pytest.mark.parametrize("several", [False, True])
def test_what_is_learnt_is_calibrated_and_beats_the_plain_shares(several):
    rng = np.random.default_rng(0)
    blend = fit(*cases(rng, 600, several), several=several)
    evidences, targets = cases(rng, 400, several)

    learnt = np.array([blend(one) for one in evidences])
    shares, wanted = np.array([plain(one) for one in evidences]), np.array(targets)

    def right(probabilities):
        return wanted[np.arange(len(wanted)), probabilities.argmax(axis=1)].mean()

    assert right(learnt) > right(shares) + 0.2
    assert learnt.max(axis=1).mean() == pytest.approx(right(learnt), abs=0.05)
    if not several:
        np.testing.assert_allclose(learnt.sum(axis=1), 1)


def test_saved_blends_answer_the_same(tmp_path):
    coefficients = np.arange(6, dtype=np.float32).reshape(3, 2)
    blend = Blend(weights=np.linspace(-1, 1, len(NAMES)), bias=0.3, several=True)
    save_learnt(tmp_path, Learnt(blends={"genre": blend}, following={"genre": coefficients}))

    loaded = load_learnt(tmp_path)

    one = found([0, 1], several=True)
    np.testing.assert_array_equal(loaded.blends["genre"](one), blend(one))
    np.testing.assert_array_equal(loaded.following["genre"], coefficients)
    assert load_learnt(tmp_path / "elsewhere") == Learnt()


def test_blends_of_other_evidence_are_not_used(tmp_path):
    save_learnt(tmp_path, Learnt(blends={"genre": Blend(weights=np.ones(len(NAMES)))}))
    path = tmp_path / "profiles.json"
    path.write_text(path.read_text().replace(NAMES[PLAIN], "something else"))

    assert load_learnt(tmp_path) == Learnt()

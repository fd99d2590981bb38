import numpy as np
import pytest

from dataset.arrays import load_dataset
from index import times
from index.neighbours import Neighbours, next_items
from ranker.shortlists import Shortlists
from serving.retrieval import Retriever
from serving.signals import DECAY, FLOOR, NAMES, Signals
from tests.rounding import BATCHES, SERVED, rounding

pytestmark = pytest.mark.numeric


@pytest.fixture(scope="module")
def retriever(release):
    return Retriever.load(release / "trial")


@pytest.fixture(scope="module")
def data(release):
    return load_dataset(release / "data")


@pytest.fixture
def signals(retriever, data, release):
    return Signals.load(release / "trial", retriever.sources, data.popularity)


def column(table, name):
    return table[:, NAMES.index(name)]


def weight(lists, owner, row):
    """Looked up one by one."""
    span = slice(lists.starts[owner], lists.starts[owner + 1])
    found = lists.weights[span][lists.rows[span] == row]
    return float(found[0]) if len(found) else 0.0


def test_every_signal_is_what_its_name_says(signals, retriever, data, release):
    history = np.array([3, 11, 3, 25], np.int32)
    recalled = retriever.shortlist(history, 30, {})
    table = signals(history, recalled)
    vectors = retriever.sources.index.vectors(np.arange(len(data.item_ids), dtype=np.int32))
    together, after = retriever.sources.neighbours, retriever.sources.next_items
    era = times.load(release / "trial" / "index")[:, 0]
    last, first = (np.zeros(len(data.item_ids), int) for _ in range(2))
    for user in range(data.users):
        last[data.history(user)[-1]] += 1
        first[data.history(user)[0]] += 1

    assert table.shape == (30, len(NAMES))
    tolerance = rounding(table, terms=16)
    for place, row in enumerate(recalled.rows.tolist()):
        newest = history[::-1]
        shared = [np.log(weight(together, item, row) + FLOOR) for item in newest]
        then = [np.log(weight(after, item, row) + FLOOR) for item in newest]
        ahead = [np.log(weight(after, row, item) + FLOOR) for item in newest]
        alike = vectors[newest] @ vectors[row]
        recent = DECAY ** np.arange(4)
        expected = {
            "shortlist score": recalled.scores[place],
            "rank": np.log1p(place),
            "popularity": np.log1p(data.popularity[row]),
            "history length": np.log1p(4),
            "bought with the last item": shared[0],
            "bought with the last but one": shared[1],
            "bought with any, most": max(shared),
            "bought after the last item": then[0],
            "bought after any, most": max(then),
            "bought after all, recent most": np.log(
                sum(recent * [weight(after, item, row) for item in newest]) + FLOOR
            ),
            "bought before the last item": ahead[0],
            "bought before any, most": max(ahead),
            "cosine to the last item": alike[0],
            "cosine to any, most": max(alike.max(), 0),
            "cosine to all, mean": alike.mean(),
            "cosine to all, recent most": (recent * alike).sum() / recent.sum(),
            "era": era[row],
            "era beside the last item's": era[row] - era[25],
            "era beside the latest": era[row] - era[history].max(),
            "era beside the mean of the last three": era[row] - era[newest[:3]].mean(),
            "purchases that are a user's last, share": np.log(
                (last[row] + 0.5) / (data.popularity[row] + 3)
            ),
            "purchases that are a user's last": np.log1p(last[row]),
            "purchases that are a user's first, share": np.log(
                (first[row] + 0.5) / (data.popularity[row] + 3)
            ),
        }
        for name, value in expected.items():
            assert column(table, name)[place] == pytest.approx(value, abs=tolerance), name


def test_signals_learnt_from_are_those_that_are_served(signals, retriever, data, release):
    stored = Shortlists.load(release / "trial" / "shortlists")

    for place in (0, len(stored.users) - 1):
        user = int(stored.users[place])
        history = data.history(user)
        contexts = data.history_contexts(user)
        served = retriever.shortlist(history, stored.rows.shape[1], {}, contexts=contexts)
        order = np.argsort(stored.rows[place])
        position = order[np.searchsorted(stored.rows[place][order], served.rows)]
        assert (stored.rows[place][position] == served.rows).all()
        # bf16 sums depend on the batch, so near equals may have changed places
        unranked = [column for column, name in enumerate(NAMES) if "rank" not in name]
        expected = stored.signals[place][position][:, unranked]
        np.testing.assert_allclose(
            signals(history, served)[:, unranked],
            expected,
            atol=rounding(expected, **BATCHES, dtype=SERVED),
        )
        assert np.abs(position - np.arange(len(position))).max() <= 3


def test_a_shopper_without_a_second_item_has_no_signal_of_it(signals, retriever):
    history = np.array([3], np.int32)
    table = signals(history, retriever.shortlist(history, 10, {}))

    assert (column(table, "bought with the last but one") == np.float32(np.log(FLOOR))).all()
    assert (column(table, "cosine to the last but one") == 0).all()
    assert np.isfinite(table).all()


def test_what_follows_counts_by_nearness_and_by_how_often_an_item_is_followed():
    offsets, items = np.array([0, 3, 5]), np.array([0, 1, 2, 0, 2], np.int32)

    following = next_items(offsets, items, 3, shrinkage=0.0, kept=5)

    # 0 is followed by 1 (once, next), by 2 (next, and once two places on)
    np.testing.assert_allclose(
        following.between(np.array([0, 1, 2], np.int32), np.array([1, 2], np.int32)),
        [[1 / 2.5, 1.5 / 2.5], [0, 1], [0, 0]],
        atol=rounding(1, terms=2),
    )


def test_lists_are_looked_up_in_any_order_of_the_rows():
    lists = Neighbours(
        starts=np.array([0, 2, 3, 3]),
        rows=np.array([2, 1, 0], np.int32),
        weights=np.array([0.5, 0.25, 0.125], np.float32),
    )

    found = lists.between(np.array([1, 0, 2], np.int32), np.array([2, 0, 1], np.int32))

    assert found.tolist() == [[0, 0.125, 0], [0.5, 0, 0.25], [0, 0, 0]]

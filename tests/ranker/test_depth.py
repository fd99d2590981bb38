import numpy as np
import pytest

from evaluation.metrics import ndcg
from ranker.depth import LEAST, Depth
from ranker.learn_depth import KEPT, cheapest, learn_depths

SCORES = np.concatenate([np.linspace(9, 8, 12), np.linspace(3, 0, 38)])


def test_each_rule_counts_what_it_says():
    number, gap, mass = (
        Depth(rule=rule, value=value, most=40)
        for rule, value in (("number", 20), ("gap", 1.0), ("mass", 0.99))
    )

    assert number(SCORES) == 20
    assert gap(SCORES) == 15  # 12 items within 1 of the tenth, rounded up
    assert mass(SCORES) == 15
    assert Depth(rule="gap", value=100.0, most=40)(SCORES) == 40


@pytest.mark.parametrize("rule", ["number", "gap", "mass"])
def test_a_rule_never_ranks_more_than_there_are(rule):
    depth = Depth(rule=rule, value=0.0, most=40)

    assert depth(SCORES[:4]) == 4
    assert depth(SCORES) == LEAST
    np.testing.assert_array_equal(depth.of_all(np.full((1, 40), -np.inf)), [0])


def lists(seed):
    """Lists whose scores fall off at a different place each; what is bought lies before it."""
    rng = np.random.default_rng(seed)
    users, width = 300, 60
    good = rng.integers(5, 50, users)
    place = np.arange(width)
    scores = np.where(place < good[:, None], 5.0, 0.0) - 0.01 * place
    rows = np.stack([rng.permutation(500)[:width] for _ in range(users)]).astype(np.int32)
    bought = rng.integers(good)
    logits = rng.normal(size=(users, width))
    logits[np.arange(users), bought] += 4
    return rows, scores, logits, [rows[user, [at]] for user, at in enumerate(bought)]


def test_a_rule_that_sees_the_fall_of_the_scores_ranks_fewest():
    rows, scores, logits, targets = lists(0)

    choices = learn_depths(rows, scores, logits, targets)

    assert cheapest(choices).depth.rule in {"gap", "mass"}
    assert cheapest(choices).ranked < 0.8 * choices["number"].ranked


def test_what_is_learnt_reaches_the_share_of_ndcg_on_its_own_lists():
    rows, scores, logits, targets = lists(1)
    whole = np.take_along_axis(rows, np.argsort(-logits, axis=1), axis=1)
    reachable = ndcg(whole[:, :10], targets, 10).mean()

    for choice in learn_depths(rows, scores, logits, targets).values():
        shown = []
        for user, count in enumerate(choice.depth.of_all(scores)):
            head = np.argsort(-logits[user, :count])
            shown.append(np.concatenate([rows[user][head], rows[user][count:]])[:10])
        reached = ndcg(np.array(shown), targets, 10).mean()
        assert reached + 1e-12 >= choice.ndcg >= KEPT * reachable


def test_lists_of_any_length_are_ranked_whole_where_they_are_short():
    rows, scores, logits, targets = lists(2)
    lengths = np.random.default_rng(0).integers(1, 60, len(rows))
    for table, padding in ((rows, -1), (scores, -np.inf), (logits, -np.inf)):
        table[np.arange(60) >= lengths[:, None]] = padding

    for choice in learn_depths(rows, scores, logits, targets).values():
        counts = choice.depth.of_all(scores)
        assert (counts <= lengths).all()
        assert (counts[lengths <= LEAST] == lengths[lengths <= LEAST]).all()
        assert choice.ndcg >= KEPT * choice.reachable


@pytest.mark.parametrize("ranked", [1, 5, 10, 12])
def test_a_ranker_of_few_items_ranks_them_all(ranked):
    rows, scores, logits, targets = lists(3)

    choices = learn_depths(rows[:, :ranked], scores[:, :ranked], logits[:, :ranked], targets)

    assert cheapest(choices).depth.most == ranked
    assert choices["number"].depth(SCORES) == ranked

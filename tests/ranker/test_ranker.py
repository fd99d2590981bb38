import numpy as np
import pytest
import torch

from backbone.load import load_bert, load_tokenizer
from backbone.tokens import SpecialTokens, tokenize
from dataset.points import training_points
from lineage.manifest import read_manifest
from ranker.inputs import RankerInputs
from ranker.lists import ListCollator
from ranker.losses import listwise_softmax
from ranker.model import CrossEncoder
from ranker.score import Ranker, reorder
from ranker.shortlists import Shortlists


@pytest.fixture
def inputs(shop, tiny_bert):
    tokenizer = load_tokenizer(str(tiny_bert))
    return RankerInputs(
        texts=tokenize(shop.texts, tokenizer, max_tokens=8),
        titles=tokenize(shop.titles, tokenizer, max_tokens=8),
        special=SpecialTokens.of(tokenizer),
        history_tokens=20,
    )


@pytest.fixture
def shortlists(release):
    return Shortlists.load(release / "shortlists")


@pytest.fixture
def collator(shop, inputs, shortlists):
    return ListCollator(
        points=training_points(shop), shortlists=shortlists, inputs=inputs, negatives=3, seed=0
    )


def test_the_loss_is_minus_the_log_chance_of_the_target():
    logits = torch.tensor([[1.0, 0.0, float("-inf")], [2.0, 2.0, 2.0]])

    expected = (np.log(1 + np.exp(-1.0)) + np.log(3)) / 2
    assert listwise_softmax(logits).item() == pytest.approx(expected)


def test_a_pair_reads_history_then_item_and_marks_the_item(inputs):
    batch = inputs([np.array([0, 6], np.int32)], [np.array([12], np.int32)])
    tokens = load_order(inputs, batch)

    assert tokens == [2, *inputs.titles[6], 3, *inputs.titles[0], 3, *inputs.texts[12], 3]
    assert batch.segments[0].tolist() == [0] * 7 + [1] * 3


def load_order(inputs, batch):
    return batch.ids[0][batch.mask[0].bool()].tolist()


def test_before_training_the_cascade_orders_as_the_shortlist_does(inputs, tiny_bert):
    ranker = Ranker(model=CrossEncoder(load_bert(str(tiny_bert))), inputs=inputs)
    logits = np.array([0.3, 0.9, -0.2], np.float32)

    scores = ranker(np.array([0], np.int32), np.array([4, 5, 6], np.int32), logits)

    np.testing.assert_allclose(scores, logits, rtol=1e-5)


def test_a_candidates_score_does_not_depend_on_the_others(inputs, release):
    ranker = Ranker.load(release / "ranker")
    history, cosines = np.array([0, 6], np.int32), np.array([0.1, 0.2, 0.3], np.float32)

    together = ranker(history, np.array([4, 5, 6], np.int32), cosines)
    alone = [
        ranker(history, np.array([r], np.int32), cosines[i : i + 1])[0]
        for i, r in enumerate([4, 5, 6])
    ]

    np.testing.assert_allclose(together, alone, atol=0.1, rtol=0.02)  # bf16


def test_a_list_holds_its_target_first_and_no_positive_among_the_negatives(collator, shortlists):
    points = collator.points
    for row in range(len(shortlists.points)):
        rows, scores, present = collator._draw(row)
        point = int(shortlists.points[row])

        assert rows[0] == points.targets[point]
        assert scores[0] == shortlists.scores[row][shortlists.rows[row] == rows[0]][0]
        negatives = rows[1:][present[1:]]
        assert not np.isin(negatives, points.positives(point)).any()
        assert np.isin(negatives, shortlists.rows[row]).all()


def test_lists_are_drawn_alike_whenever_they_are_drawn(collator):
    first, again = collator([3, 5]), collator([5, 3])

    length = first.pairs.ids.shape[1]
    assert torch.equal(first.pairs.ids[:4], again.pairs.ids[4:, :length])


def test_shortlists_leave_the_history_out_and_hold_the_target(shop, shortlists):
    points = training_points(shop)
    for rows, point in zip(shortlists.rows, shortlists.points.tolist(), strict=True):
        assert not np.isin(rows, points.history(point)).any()
        assert points.targets[point] in rows


def test_equal_scores_keep_the_shortlists_order():
    assert reorder([7, 3, 5], np.array([1, 2, 1], np.float32)).tolist() == [3, 7, 5]


def test_the_manifest_holds_the_cascades_validation_figure(release):
    facts = read_manifest(release / "ranker", "ranker").facts

    assert 0 < facts["valid/ndcg@10"] <= 1

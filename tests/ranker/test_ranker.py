import shutil

import numpy as np
import pytest
import torch

from backbone.batch import pad
from backbone.config import TrainingConfig
from backbone.load import load_bert, load_tokenizer, states_below
from backbone.tokens import SpecialTokens, item_input, tokenize
from dataset.points import training_points
from lineage.cli import run
from lineage.manifest import read_manifest
from ranker.config import RankerConfig
from ranker.inputs import RankerInputs
from ranker.item_states import span_means, write_item_states
from ranker.late import LateInputs, LateRanker
from ranker.lists import ListCollator
from ranker.losses import listwise_softmax
from ranker.model import CrossEncoder
from ranker.score import Ranker, reorder
from ranker.shortlists import Shortlists
from serving.engine import Engine, EngineConfig
from serving.query import Query


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
def bert(tiny_bert):
    return load_bert(str(tiny_bert))


@pytest.fixture(params=["joint", "late"])
def ranker(request, inputs, bert, tmp_path):
    """Before training."""
    if request.param == "joint":
        return Ranker(model=CrossEncoder(bert), inputs=inputs)
    items = write_item_states(
        tmp_path,
        bert,
        [item_input(inputs.texts[row], inputs.special) for row in range(len(inputs.texts))],
        joined_layers=1,
        kept=3,
        pad_id=inputs.special.pad,
    )
    late = LateInputs(titles=inputs.titles, items=items, special=inputs.special, history_tokens=20)
    return Ranker(model=LateRanker(bert, joined_layers=1), inputs=late)


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


def test_before_training_the_cascade_orders_as_the_shortlist_does(ranker):
    logits = np.array([0.3, 0.9, -0.2], np.float32)

    scores = ranker(np.array([0], np.int32), np.array([4, 5, 6], np.int32), logits)

    np.testing.assert_allclose(scores, logits, rtol=1e-5)


def test_a_candidates_score_does_not_depend_on_the_others(ranker):
    torch.nn.init.normal_(ranker.model.head.weight)
    history, cosines = np.array([0, 6], np.int32), np.array([0.1, 0.2, 0.3], np.float32)

    together = ranker(history, np.array([4, 5, 6], np.int32), cosines)
    alone = [
        ranker(history, np.array([r], np.int32), cosines[i : i + 1])[0]
        for i, r in enumerate([4, 5, 6])
    ]

    np.testing.assert_allclose(together, alone, atol=1e-4)
    assert np.ptp(together - cosines) > 0.01


def test_a_ranker_comes_back_from_disk_as_it_was(ranker, tiny_bert, tmp_path):
    torch.nn.init.normal_(ranker.model.head.weight)
    history, rows = np.array([0, 6], np.int32), np.array([4, 5, 6], np.int32)
    ranker.save(tmp_path, load_tokenizer(str(tiny_bert)))

    loaded = Ranker.load(tmp_path)

    assert type(loaded.model) is type(ranker.model)
    np.testing.assert_allclose(
        loaded(history, rows, np.zeros(3, np.float32)),
        ranker(history, rows, np.zeros(3, np.float32)),
        atol=0.1,  # bf16
    )


def test_states_of_an_item_are_means_over_equal_spans_of_its_tokens():
    states = torch.arange(10.0).view(2, 5, 1)

    means = span_means(states, torch.tensor([5, 2]), 3)

    # five tokens in three spans: 0 1 | 2 3 | 4; two tokens stay as they are
    assert means[..., 0].tolist() == [[0.5, 2.5, 4.0], [5.0, 6.0, 0.0]]


@pytest.mark.parametrize("ranker", ["late"], indirect=True)
def test_the_states_that_are_kept_of_an_item_are_those_of_its_text(ranker, inputs):
    row = 37
    text = pad([item_input(inputs.texts[row], inputs.special)], inputs.special.pad)
    below = states_below(ranker.model.bert, text, trained_layers=1)[0]

    states, present = ranker.inputs.items.of(np.array([row], np.int32))

    assert len(below) == 4  # [CLS] colour thing [SEP]: of four the first two share a span
    expected = torch.stack([below[:2].mean(dim=0), below[2], below[3]])
    torch.testing.assert_close(states[0], expected, atol=2e-3, rtol=0)
    assert present.all()


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


def test_the_fast_ranker_is_trained_and_served_like_the_joint_one(release, tiny_bert, tmp_path):
    root = tmp_path / "shop"
    shutil.copytree(release, root, ignore=shutil.ignore_patterns("ranker", "training"))
    training = TrainingConfig(
        max_epochs=1, examples_per_epoch=32, batch_size=16, learning_rate=3e-3, trained_layers=1
    )
    config = RankerConfig(
        backbone=str(tiny_bert), item_states=2, negatives=3, ranked=6, training=training
    )

    run("ranker", config, root, needs=["data", "shortlists"], build="ranker.train:train")

    ranker, engine = Ranker.load(root / "ranker"), Engine.load(root, EngineConfig())
    assert isinstance(ranker.model, LateRanker)
    history, rows = np.array([3, 11], np.int32), np.arange(20, 60, dtype=np.int32)
    scores = ranker(history, rows, engine.retriever.judge(history, rows, {}).scores)
    answer = engine.rank(Query(history=["i3", "i11"], limit=5), [f"i{row}" for row in rows])
    best = [f"i{row}" for row in reorder(rows, scores)[:5]]
    assert [item.item_id for item in answer.items] == best

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from backbone.batch import pad
from backbone.config import AdapterConfig, TrainingConfig
from backbone.layers import states_below
from backbone.load import load_bert, load_tokenizer
from backbone.tokens import SpecialTokens, item_input, tokenize
from dataset.arrays import load_dataset
from dataset.validation_users import ValidationUsers
from lineage.cli import run
from lineage.manifest import MismatchedArtifactError, read_manifest
from ranker.attention.inputs import AttentionInputs
from ranker.attention.model import HEAD, PAIR, AttentionRanker, CrossAttention
from ranker.config import RankerConfig
from ranker.joint.inputs import RankerInputs
from ranker.joint.model import CrossEncoder
from ranker.late.inputs import LateInputs
from ranker.late.item_states import span_means, write_item_states
from ranker.late.model import LateRanker
from ranker.list_batches import ListCollator
from ranker.losses import listwise_softmax
from ranker.ranker import Ranker, reorder
from ranker.search import Search
from ranker.shortlists import Shortlists
from ranker.train import spread, train
from retrieval.features import Features
from retrieval.retriever import ResolvedShopper
from serving.engine.engine import Engine, EngineConfig
from shortlist_client.api.request import Shopper, Wishes
from tests.rounding import SERVED, rounding

pytestmark = pytest.mark.numeric

TERMS = 1024
"""Of the sums through any of the rankers, one after another."""

FEATURE_NAMES = ("one", "two", "three", "four")


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


@pytest.fixture(params=["joint", "late", "attention"])
def ranker(request, inputs, bert, shop, tmp_path):
    """Untrained ranker of each kind."""
    if request.param == "joint":
        return Ranker(
            model=CrossEncoder(bert, len(FEATURE_NAMES)), inputs=inputs, feature_names=FEATURE_NAMES
        )
    if request.param == "attention":
        states = np.random.default_rng(0).normal(size=(len(shop.item_ids), 16)).astype(np.float32)
        model = AttentionRanker(
            hidden=16, features=len(FEATURE_NAMES), width=64, layers=2, length=20
        ).eval()
        return Ranker(
            model=model,
            inputs=AttentionInputs.of([states[:, :3], states[:, 3:]], shop.texts, length=20),
            feature_names=FEATURE_NAMES,
        )
    items = write_item_states(
        tmp_path,
        bert,
        [item_input(inputs.texts[row], inputs.special) for row in range(len(inputs.texts))],
        joined_layers=1,
        kept=3,
        pad_id=inputs.special.pad,
    )
    late = LateInputs(titles=inputs.titles, items=items, special=inputs.special, history_tokens=20)
    model = LateRanker(bert, len(FEATURE_NAMES), joined_layers=1)
    return Ranker(model=model, inputs=late, feature_names=FEATURE_NAMES)


def test_quantised_states_are_within_half_a_step():
    states = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    states[:, 3] = 0

    texts = ["red mug", "mug"] + 7 * [""]

    inputs = AttentionInputs.of([states[:, :3], states[:, 3:]], texts, length=5)

    assert inputs.states.dtype == np.int8
    error = np.abs(inputs.read(np.arange(9)) - states)
    half_steps = 0.5 * np.abs(states).max(axis=0) / 127
    assert (error <= half_steps + rounding(states, terms=1)).all()
    clipped = inputs.quantised(2 * states, texts)
    assert (clipped[:, :4].min(), clipped[:, :4].max()) == (-127, 127)
    np.testing.assert_array_equal(np.sign(clipped[:, :3]), np.sign(states[:, :3]))
    np.testing.assert_array_equal(clipped[:, 4:], inputs.states[:, 4:])


def test_attention_inputs_survive_saving_and_loading(tmp_path):
    saved = AttentionInputs.of(
        [np.float32([[1, -2], [0.5, 0.25]])], ["red mug", "blue mug"], length=5
    )

    saved.save(tmp_path)

    loaded = AttentionInputs.load(tmp_path)
    np.testing.assert_array_equal(loaded.read(np.arange(2)), saved.read(np.arange(2)))
    np.testing.assert_array_equal(loaded.words(np.arange(2)), saved.words(np.arange(2)))
    new = np.zeros((1, 2), np.float32)
    np.testing.assert_array_equal(loaded.quantised(new, ["mug"]), saved.quantised(new, ["mug"]))


def test_a_shared_word_changes_the_score_of_the_candidate_that_has_it(tmp_path):
    """All states are zero, so only words distinguish the items."""
    torch.manual_seed(0)
    texts = ["red mug", "blue hat", "red hat", "green shoe"]
    inputs = AttentionInputs.of([np.zeros((4, 8), np.float32)], texts, length=5)
    model = AttentionRanker(
        hidden=8, features=len(FEATURE_NAMES), width=32, layers=1, length=5
    ).eval()
    ranker = with_random_head(Ranker(model=model, inputs=inputs, feature_names=FEATURE_NAMES))
    rows, zeros = np.array([2, 3], np.int32), np.zeros(2, np.float32)

    def difference(history):
        same = np.zeros((2, len(FEATURE_NAMES)), np.float32)
        scores = ranker(np.array(history, np.int32), rows, zeros, same)
        return scores[0] - scores[1]

    # the candidate that shares no word with the history serves as the baseline
    assert abs(difference([0])) > 1e-3
    assert abs(difference([1])) > 1e-3
    assert abs(difference([0, 1]) - difference([1, 0])) > 1e-4
    assert abs(difference([3, 0]) - difference([0])) > 1e-4


def test_cross_attention_equals_attention_computed_one_candidate_and_head_at_a_time():
    torch.manual_seed(1)
    layer = CrossAttention(64, 0.0).eval()
    states, shopper = torch.randn(1, 3, 64), torch.randn(1, 4, 64)
    pairs, known = torch.randn(1, 3, 4, PAIR), torch.tensor([[True, True, True, False]])

    together = layer(states, shopper, known, pairs)

    for candidate in range(3):
        query = layer.query(layer.before(states[0, candidate]))
        key, value = layer.key_value(shopper[0]).chunk(2, dim=-1)
        read = []
        for head in range(2):
            part = slice(head * HEAD, (head + 1) * HEAD)
            favour = layer.favour(pairs[0, candidate])[:, head]
            logits = key[:3, part] @ query[part] / HEAD**0.5 + favour[:3]
            weights = logits.softmax(0)
            common = pairs[0, candidate, :3] @ layer.common[head]
            read.append(weights @ (value[:3, part] + common))
        state = states[0, candidate] + layer.output(torch.cat(read))
        expected = state + layer.inner(layer.between(state))
        tolerance = rounding(expected, terms=512)
        torch.testing.assert_close(together[0, candidate], expected, atol=tolerance, rtol=0)


def features(candidates):
    return np.random.default_rng(1).normal(size=(candidates, len(FEATURE_NAMES))).astype(np.float32)


@pytest.fixture
def shortlists(release):
    return Shortlists.load(release / "trial" / "shortlists")


@pytest.fixture
def cases(shop, shortlists):
    return shop.cases("valid").at(shortlists.places)


@pytest.fixture
def collator(cases, inputs, shortlists):
    return ListCollator(
        histories=cases.histories,
        targets=cases.targets,
        shortlists=shortlists,
        inputs=inputs,
        candidates=4,
        seed=0,
    )


def test_the_loss_is_minus_the_mean_log_probability_of_the_bought_candidates():
    logits = torch.tensor([[1.0, 0.0, float("-inf")], [2.0, 2.0, 2.0]])
    bought = torch.tensor([[True, False, False], [True, False, True]])

    expected = (np.log(1 + np.exp(-1.0)) + np.log(3)) / 2
    assert listwise_softmax(logits, bought).item() == pytest.approx(
        expected, abs=rounding(expected, terms=3)
    )


def test_the_loss_weighs_the_bought_candidates_by_their_gains():
    logits, gains = torch.tensor([[1.0, 0.0, 0.5]]), torch.tensor([[3.0, 1.0, 0.0]])

    log_probabilities = logits.log_softmax(dim=-1)[0]
    expected = -(0.75 * log_probabilities[0] + 0.25 * log_probabilities[1]).item()
    assert listwise_softmax(logits, gains).item() == pytest.approx(
        expected, abs=rounding(expected, terms=4)
    )


def test_a_pair_is_the_history_then_the_candidate_in_segment_1(inputs):
    batch = inputs([np.array([0, 6], np.int32)], [np.array([12], np.int32)])
    tokens = batch.ids[0][batch.mask[0].bool()].tolist()

    assert tokens == [2, *inputs.titles[6], 3, *inputs.titles[0], 3, *inputs.texts[12], 3]
    assert batch.segments[0].tolist() == [0] * 7 + [1] * 3


def test_an_untrained_ranker_returns_the_scores_of_the_shortlist(ranker):
    logits = np.array([0.3, 0.9, -0.2], np.float32)

    scores = ranker(np.array([0], np.int32), np.array([4, 5, 6], np.int32), logits, features(3))

    np.testing.assert_allclose(scores, logits, atol=rounding(logits, terms=len(FEATURE_NAMES)))


def with_random_head(ranker):
    torch.manual_seed(0)
    torch.nn.init.normal_(ranker.model.head.weight)
    torch.nn.init.normal_(ranker.model.feature_weights.weight)
    ranker.model.mean += 0.3
    ranker.model.scale *= 1.7
    return ranker


def test_a_candidates_score_does_not_depend_on_the_others(ranker):
    with_random_head(ranker)
    history, scores = np.array([0, 6], np.int32), np.array([0.1, 0.2, 0.3], np.float32)
    columns = features(3)

    together = ranker(history, np.array([4, 5, 6], np.int32), scores, columns)
    alone = [
        ranker(history, np.array([r], np.int32), scores[i : i + 1], columns[i : i + 1])[0]
        for i, r in enumerate([4, 5, 6])
    ]

    np.testing.assert_allclose(together, alone, atol=rounding(alone, terms=TERMS))
    assert np.ptp(together - scores) > 0.01


@pytest.mark.parametrize("ranker", ["attention"], indirect=True)
def test_a_shoppers_scores_do_not_depend_on_the_batch(ranker):
    with_random_head(ranker)
    histories = [np.arange(10, 22, dtype=np.int32), np.array([3], np.int32)]
    rows, columns = np.array([[4, 5], [7, 8]], np.int32), torch.from_numpy(features(4))
    batch = ranker.inputs(histories, rows)

    with torch.inference_mode():
        together = ranker.model(batch, torch.zeros(4), columns)
    alone = [
        ranker(history, rows[i], np.zeros(2, np.float32), columns[2 * i : 2 * i + 2].numpy())
        for i, history in enumerate(histories)
    ]

    assert batch.history.shape[1] == 2 * ranker.inputs(histories[1:], rows[1:]).history.shape[1]
    np.testing.assert_allclose(
        together.numpy(), np.concatenate(alone), atol=rounding(together, terms=TERMS)
    )


@pytest.mark.parametrize("ranker", ["attention"], indirect=True)
def test_a_search_is_read_as_the_newest_item_and_marked(ranker, shop):
    model = AttentionRanker(
        hidden=16, features=len(FEATURE_NAMES), width=64, layers=2, length=20, searches=True
    ).eval()
    searching = with_random_head(replace(ranker, model=model))
    history, rows = np.array([3, 9], np.int32), np.array([4, 5], np.int32)
    scores, columns, state = np.zeros(2, np.float32), features(2), ranker.inputs.states[7]

    as_item = searching(np.array([3, 9, 7], np.int32), rows, scores, columns)
    as_search = searching(history, rows, scores, columns, Search(state))
    unmarked = rounding(as_item, terms=TERMS)
    np.testing.assert_allclose(as_search, as_item, atol=unmarked)

    torch.nn.init.normal_(model.search)
    assert np.abs(searching(history, rows, scores, columns, Search(state)) - as_item).max() > 1e-3
    alone = searching.score_all(
        [history, history[:0]],
        [rows, rows],
        [scores, scores],
        [columns, columns],
        searches=[None, Search(state)],
    )
    np.testing.assert_allclose(alone[0], searching(history, rows, scores, columns), atol=unmarked)


@pytest.mark.parametrize("ranker", ["attention"], indirect=True)
def test_a_shopper_without_a_history_is_ranked_by_features(ranker):
    with_random_head(ranker)
    rows, zeros = np.array([4, 5, 6], np.int32), np.zeros(3, np.float32)

    scores = ranker(np.empty(0, np.int32), rows, zeros, features(3))

    assert np.isfinite(scores).all()
    assert np.ptp(scores) > 0.01


@pytest.mark.parametrize("ranker", ["attention"], indirect=True)
def test_scores_depend_on_the_order_of_a_history_and_only_on_its_newest_items(ranker):
    with_random_head(ranker)
    rows, zeros = np.array([4, 5], np.int32), np.zeros(2, np.float32)

    def scores(history):
        return ranker(np.array(history, np.int32), rows, zeros, features(2))

    assert np.abs(scores([0, 6]) - scores([6, 0])).max() > 1e-3
    newest = range(1, 21)
    expected = scores([29, *newest])
    np.testing.assert_allclose(
        scores([28, *newest]), expected, atol=rounding(expected, terms=TERMS)
    )


def test_a_ranker_survives_saving_and_loading(ranker, tiny_bert, tmp_path):
    with_random_head(ranker)
    history, rows = np.array([0, 6], np.int32), np.array([4, 5, 6], np.int32)
    ranker.save(tmp_path, load_tokenizer(str(tiny_bert)))

    loaded = Ranker.load(tmp_path)

    assert type(loaded.model) is type(ranker.model)
    assert loaded.feature_names == FEATURE_NAMES
    assert torch.equal(loaded.model.mean, ranker.model.mean)
    expected = ranker(history, rows, np.zeros(3, np.float32), features(3))
    np.testing.assert_allclose(
        loaded(history, rows, np.zeros(3, np.float32), features(3)),
        expected,
        atol=rounding(expected, terms=TERMS, stored=16, dtype=SERVED),
    )


def test_states_of_an_item_are_means_over_equal_spans_of_its_tokens():
    states = torch.arange(10.0).view(2, 5, 1)

    means = span_means(states, torch.tensor([5, 2]), 3)

    # five tokens in three spans: 0 1 | 2 3 | 4; with two tokens, each token is a span
    assert means[..., 0].tolist() == [[0.5, 2.5, 4.0], [5.0, 6.0, 0.0]]


@pytest.mark.parametrize("ranker", ["late"], indirect=True)
def test_stored_item_states_are_span_means_of_the_states_of_its_text(ranker, inputs):
    row = 37
    text = pad([item_input(inputs.texts[row], inputs.special)], inputs.special.pad)
    below = states_below(ranker.model.bert, text, trained_layers=1)[0]

    states, present = ranker.inputs.items.of(np.array([row], np.int32))

    assert len(below) == 4  # [CLS] colour thing [SEP]: the first two tokens share a span
    expected = torch.stack([below[:2].mean(dim=0), below[2], below[3]])
    tolerance = rounding(expected, terms=256, stored=1, dtype=torch.float16)
    torch.testing.assert_close(states[0], expected, atol=tolerance, rtol=0)
    assert present.all()


def test_a_drawn_list_marks_the_items_that_were_bought(collator, shortlists, cases):
    for row in range(shortlists.learnt):
        places, bought = collator._draw(row)
        rows = shortlists.rows[row][places]

        assert bought.any()
        np.testing.assert_array_equal(bought, np.isin(rows, cases.targets[row]))
        assert len(np.unique(rows)) == len(rows) <= 4
        assert (rows >= 0).all()


def test_a_batch_of_lists_holds_the_scores_and_features_of_the_shortlists(collator, shortlists):
    batch = collator([2, 0])

    for position, row in enumerate([2, 0]):
        places, bought = collator._draw(row)
        width = batch.present.shape[1]
        span = slice(position * width, position * width + len(places))
        np.testing.assert_array_equal(batch.shortlist_scores[span], shortlists.scores[row][places])
        np.testing.assert_array_equal(batch.features[span], shortlists.features[row][places])
        np.testing.assert_array_equal(batch.gains[position, : len(places)], bought)
        assert batch.present[position].sum() == len(places)


def test_the_draw_from_a_list_does_not_depend_on_the_batch(collator):
    first, again = collator([3, 5]), collator([5, 3])

    assert torch.equal(first.gains[0], again.gains[1])
    assert torch.equal(first.features[:4], again.features[4:])


def test_shortlists_exclude_the_history_and_training_lists_hold_a_target(shortlists, cases):
    assert 0 < shortlists.learnt < len(shortlists.places)
    for place, rows in enumerate(shortlists.rows):
        assert not np.isin(rows, cases.histories[place]).any()
        if place < shortlists.learnt:
            assert np.isin(cases.targets[place], rows).any()


@pytest.mark.parametrize("change", [lambda names: names[1:], lambda names: [*names[1:], names[1]]])
def test_shortlists_with_missing_or_repeated_feature_names_are_refused(release, tmp_path, change):
    folder = shutil.copytree(release / "trial" / "shortlists", tmp_path / "shop/trial/shortlists")
    path = folder / "feature_names.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))

    with pytest.raises(MismatchedArtifactError, match="`make trial DATASET=shop`"):
        Shortlists.load(folder)


def test_no_user_makes_two_choices_or_is_learnt_from_and_chooses(shop, release, shortlists):
    users = ValidationUsers.of(shop)
    cases = shop.cases("valid")
    weighing = cases.at(np.load(release / "trial" / "towers" / "weighing_cases.npy")).user_rows
    owners = cases.at(shortlists.places).user_rows
    learnt, choosing, gating = (
        np.unique(owners[part])
        for part in (slice(shortlists.learnt), shortlists.chooses, shortlists.gates)
    )

    parts = [choosing, gating, np.unique(weighing), np.unique(users.stop.user_rows)]
    assert all(len(part) for part in parts)
    assert len(np.unique(np.concatenate(parts))) == sum(map(len, parts))
    assert not np.isin(learnt, np.concatenate([choosing, gating])).any()


@pytest.mark.parametrize(
    ("cases", "learnt", "choosing", "lacking"),
    [
        (0, 0, 0, "no user's next item can be predicted"),
        (4, 0, 2, "no shortlist to learn from"),
        (4, 2, 0, "too few users"),
        (4, 2, 1, "too few users"),
        (4, 1, 3, "too few users"),
        (4, 1, 1, ""),
    ],
)
def test_lists_that_can_train_no_ranker_say_what_they_lack(
    tmp_path, cases, learnt, choosing, lacking
):
    lists = Shortlists.create(tmp_path, np.arange(cases), (learnt, choosing), 5, ["popularity"])

    assert lists.lacking(np.arange(cases)).startswith(lacking)
    assert bool(lists.lacking(np.arange(cases))) == bool(lacking)


def test_a_column_without_spread_has_scale_one():
    """5.3 has no exact float32, so its computed deviation need not be zero."""
    features = np.random.default_rng(0).normal(size=(1000, 3)).astype(np.float32)
    features[:, 1] = 5.3

    np.testing.assert_allclose(spread(features), [features[:, 0].std(), 1, features[:, 2].std()])


def test_equal_scores_keep_the_shortlists_order():
    assert reorder([7, 3, 5], np.array([1, 2, 1], np.float32)).tolist() == [3, 7, 5]


def test_the_manifest_holds_the_cascades_validation_ndcg(release):
    facts = read_manifest(release / "ranker", "ranker").facts

    assert 0 < facts["valid/ndcg@10"] <= 1


@pytest.mark.parametrize(
    ("kind", "adapter"), [("joint", "none"), ("joint", "bottleneck"), ("late", "prefix")]
)
def test_a_ranker_of_another_kind_is_served_with_the_scores_that_it_computes(
    release, tiny_bert, tmp_path, kind, adapter
):
    root = tmp_path / "shop"
    shutil.copytree(release, root, ignore=shutil.ignore_patterns("ranker", "training"))
    training = TrainingConfig(
        max_epochs=1,
        examples_per_epoch=32,
        batch_size=16,
        learning_rate=3e-3,
        trained_layers=1,
        adapter=AdapterConfig(kind=adapter),
        adversarial="none" if adapter == "none" else "fgm",
    )
    config = RankerConfig(
        backbone=str(tiny_bert), kind=kind, item_states=2, candidates=4, ranked=6, training=training
    )

    run("ranker", config, root, train)

    ranker, engine = Ranker.load(root / "ranker"), Engine.load(root, EngineConfig())
    assert isinstance(ranker.model, {"joint": CrossEncoder, "late": LateRanker}[kind])
    history, rows = np.array([3, 11], np.int32), np.arange(20, 60, dtype=np.int32)
    (judged,) = engine.cascade.retriever.recall(
        [ResolvedShopper(history=history)], engine.shortlist, {}, given=[rows]
    )
    popularity = load_dataset(root / "data").for_refit().popularity
    compute_features = Features.load(root, engine.cascade.retriever.sources, popularity)
    features_of_judged = compute_features(history, judged, now=engine.cascade.now)
    scores = ranker(history, rows, judged.scores, features_of_judged)
    answer = engine.rank(
        Shopper(history=["i3", "i11"]), [f"i{row}" for row in rows], Wishes(limit=5)
    )
    best = [f"i{row}" for row in reorder(rows, scores)[:5]]
    assert [item.item_id for item in answer.items] == best


def test_a_ranker_no_better_than_the_shortlist_leaves_its_scores_unchanged(
    release, tiny_bert, tmp_path, monkeypatch, caplog
):
    root = tmp_path / "shop"
    shutil.copytree(release, root, ignore=shutil.ignore_patterns("ranker", "training"))
    few = TrainingConfig(max_epochs=1, examples_per_epoch=32, batch_size=16, learning_rate=3e-3)
    config = RankerConfig(backbone=str(tiny_bert), width=32, ranked=6, training=few)
    monkeypatch.setattr("ranker.gate.ndcg", lambda shown, targets, k, gains: np.zeros(len(shown)))

    caplog.set_level("INFO")

    run("ranker", config, root, train)

    scores = np.array([3, 1, 2], np.float32)
    ranker = Ranker.load(root / "ranker")
    features = np.zeros((3, len(ranker.feature_names)), np.float32)
    history, rows = np.array([3, 11], np.int32), np.array([20, 21, 22], np.int32)
    np.testing.assert_array_equal(ranker(history, rows, scores, features), scores)
    assert "ranking does not pay" in caplog.text
    assert not read_manifest(root / "ranker", "ranker").facts["ranking pays"]

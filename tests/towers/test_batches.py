from dataclasses import replace

import numpy as np
import pytest

from backbone.config import AugmentationConfig
from backbone.load import load_tokenizer
from backbone.tokens import tokenize
from dataset.training_examples import training_examples
from lineage.processes import Processes
from towers.batches import TitleBatches, Training, WindowBatches
from towers.config import TowersConfig
from towers.fit import batches, text_inputs
from towers.inputs import TextInputs, Twins
from towers.negative_sampler import NegativeSampler
from towers.windows import windows


def source(shop, tiny_bert, *, uniform, twins=None):
    inputs = text_inputs(shop, load_tokenizer(str(tiny_bert)), TowersConfig(history_tokens=16))
    examples = training_examples(shop)
    counts = np.bincount(examples.targets, minlength=len(shop.item_ids))
    return Training(
        examples=examples,
        inputs=inputs,
        twins=twins or Twins(inputs.titles[row] for row in range(len(inputs.titles))),
        sampler=NegativeSampler(
            target_share=counts / counts.sum(),
            bought=np.flatnonzero(shop.popularity),
            uniform=uniform,
        ),
        fresh_texts=5,
        seed=1,
    )


@pytest.fixture(params=["windows", "titles"])
def collate(request):
    def of(training):
        if request.param == "titles":
            return TitleBatches(training=training), training.examples
        cut = windows(training.examples, 4)
        batches = WindowBatches(training=training, windows=cut, width=4, searches=0.0)
        return batches, training.examples

    return of


def members(collator, chosen):
    """Training examples of a batch, in its order."""
    if isinstance(collator, TitleBatches):
        return np.asarray(chosen)
    bounds = collator.windows.examples
    return np.concatenate([np.arange(bounds[w], bounds[w + 1]) for w in chosen])


@pytest.mark.parametrize("uniform", [0, 20, 240])
def test_masked_candidates_are_exactly_the_purchases_of_the_user(collate, shop, tiny_bert, uniform):
    collator, examples = collate(source(shop, tiny_bert, uniform=uniform))
    chosen = [0, 5, 17, 40]

    batch = collator(chosen)

    candidates = batch.rows[batch.candidates].numpy()
    owners = examples.user_rows[members(collator, chosen)]
    for choice, owner in enumerate(owners.tolist()):
        shopper = batch.choices.users[choice]
        columns = batch.choices.excluded_candidates[batch.choices.excluded_users == shopper]
        positives = np.intersect1d(shop.history(owner), candidates)
        np.testing.assert_array_equal(np.sort(candidates[columns.numpy()]), positives)


@pytest.mark.parametrize("uniform", [0, 20, 240])
def test_every_choice_has_its_own_target(collate, shop, tiny_bert, uniform):
    collator, examples = collate(source(shop, tiny_bert, uniform=uniform))
    chosen = [3, 8, 11]

    batch = collator(chosen)

    targets = batch.rows[batch.candidates[batch.choices.targets]].numpy()
    np.testing.assert_array_equal(targets, examples.targets[members(collator, chosen)])


def test_a_shopper_is_embedded_at_the_last_item_of_the_history(shop, tiny_bert):
    training = source(shop, tiny_bert, uniform=20)
    cut = windows(training.examples, 4)
    collator = WindowBatches(training=training, windows=cut, width=4, searches=0.0)
    chosen = [3, 8, 11]

    batch = collator(chosen)

    packed = batch.histories
    ids, owners = packed.ids.flatten(), packed.owners.flatten()
    for choice, example in enumerate(members(collator, chosen).tolist()):
        cell = int(batch.cells[batch.choices.users[choice]])
        seen = ids[: cell + 1][owners[: cell + 1] == owners[cell]]
        np.testing.assert_array_equal(
            batch.rows[seen].numpy(), training.examples.history(example)[-len(seen) :]
        )
        assert len(seen) == min(len(training.examples.history(example)), 4)


def test_texts_encoded_with_gradients_are_those_of_targets(collate, shop, tiny_bert):
    training = source(shop, tiny_bert, uniform=20)
    collator, examples = collate(training)
    chosen = list(range(12))

    batch = collator(chosen)

    rows = batch.rows[batch.fresh].numpy()
    assert len(rows) == 5
    assert np.isin(rows, examples.targets[members(collator, chosen)]).all()
    for row, ids, mask in zip(rows, batch.texts.ids, batch.texts.mask, strict=True):
        np.testing.assert_array_equal(ids[mask.bool()].numpy(), training.inputs.item(int(row)))


def test_the_same_members_give_the_same_batch(collate, shop, tiny_bert):
    first, second = (collate(source(shop, tiny_bert, uniform=20))[0]([4, 9]) for _ in range(2))

    np.testing.assert_array_equal(first.rows, second.rows)


def test_items_with_the_same_title_words_are_no_negatives(collate, shop, tiny_bert):
    titles = [np.array([row // 2, row % 2]) for row in range(240)]
    titles[7] = titles[0][::-1]
    training = source(shop, tiny_bert, uniform=240, twins=Twins(titles))
    collator, examples = collate(training)
    chosen = list(range(len(examples.targets) // 4))

    batch = collator(chosen)

    owners = examples.user_rows[members(collator, chosen)]
    checked = 0
    for choice, owner in enumerate(owners.tolist()):
        own = {0, 7} & set(shop.history(owner).tolist())
        if own:
            shopper = batch.choices.users[choice]
            masked = batch.choices.excluded_candidates[batch.choices.excluded_users == shopper]
            assert {0, 7} <= set(masked.tolist())
            checked += len(own) == 1
    assert checked


class OneHardNegative:
    """Item 7 is the hard negative of every training example."""

    share = np.array([0, 0, 0, 0, 0, 0, 0, 1.0])

    def draw(self, examples, rng):
        return np.full(len(examples), 7, np.int32)


@pytest.mark.parametrize("hard", [None, OneHardNegative()])
def test_stated_inclusion_probabilities_are_the_observed_frequencies(hard):
    share = np.array([0.5, 0.3, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0])
    sampler = NegativeSampler(target_share=share, bought=np.arange(8), uniform=2, hard=hard)
    rng = np.random.default_rng(0)
    drawn, stated = np.zeros(8), np.zeros(8)
    for _ in range(4000):
        targets = rng.choice(8, 3, p=share).astype(np.int32)
        rows, log_inclusion = sampler(np.arange(3), targets, rng)
        drawn[rows] += 1
        stated[rows] = np.exp(log_inclusion)

    error = 0.5 / np.sqrt(4000)  # standard error of a share, at most
    np.testing.assert_allclose(drawn / 4000, stated, atol=4 * error)
    assert stated[7] == (1 if hard else stated[6])


def test_a_repeated_example_is_counted_once_in_the_inclusion_probability():
    """A shopper with a search repeats an example of the batch."""
    share = np.array([0.5, 0.3, 0.2, 0.0])
    sampler = NegativeSampler(target_share=share, bought=np.arange(4), uniform=1)
    targets = np.array([0, 1], np.int32)

    once = sampler(np.array([7, 9]), targets, np.random.default_rng(0))
    twice = sampler(np.array([7, 9, 9, 7, 9]), targets[[0, 1, 1, 0, 1]], np.random.default_rng(0))

    for one, other in zip(once, twice, strict=True):
        np.testing.assert_array_equal(one, other)


def owned_batches(collate, training, chosen):
    """Batches of the same members in each of two processes, and in a process that is alone."""
    alone, _ = collate(training)
    return [
        collate(replace(training, processes=Processes(rank, 2)))[0](chosen) for rank in range(2)
    ], alone(chosen)


def test_two_processes_divide_the_choices_of_a_batch(collate, shop, tiny_bert):
    """Each shopper is in one of them, with the same candidates and negatives as in one process."""
    parts, whole = owned_batches(collate, source(shop, tiny_bert, uniform=20), list(range(7)))

    def choices(batch):
        rows, found = batch.rows[batch.candidates], batch.choices
        excluded = [
            tuple(rows[found.excluded_candidates[found.excluded_users == user]].tolist())
            for user in found.users
        ]
        return sorted(zip(rows[found.targets].tolist(), excluded, strict=True))

    for part in parts:
        assert part.rows[part.candidates].tolist() == whole.rows[whole.candidates].tolist()
        assert part.choices.log_inclusion.tolist() == whole.choices.log_inclusion.tolist()
    assert sorted(choices(parts[0]) + choices(parts[1])) == choices(whole)
    sizes = [len(part.choices.users) for part in parts]
    weights = [float(part.weight) for part in parts]
    assert weights == pytest.approx([2 * size / sum(sizes) for size in sizes])
    assert float(whole.weight) == 1


@pytest.mark.parametrize("bought", [range(8), [0, 3, 4, 7]])
def test_a_large_uniform_sample_is_all_bought_items(bought):
    bought = np.array(bought)
    sampler = NegativeSampler(target_share=np.full(8, 1 / 8), bought=bought, uniform=len(bought))

    rows, log_inclusion = sampler(np.array([0]), np.array([3], np.int32), np.random.default_rng(0))

    np.testing.assert_array_equal(rows, bought)
    assert log_inclusion is None


def test_items_without_purchases_are_no_negatives():
    share = np.array([0.5, 0.5, 0, 0, 0, 0])
    sampler = NegativeSampler(target_share=share, bought=np.array([0, 1, 3]), uniform=2)
    rng = np.random.default_rng(0)

    pools = [sampler(np.array([0]), np.array([0], np.int32), rng)[0] for _ in range(50)]

    assert set(np.concatenate(pools).tolist()) == {0, 1, 3}


def test_a_search_is_words_of_the_target_after_or_without_the_history(shop, tiny_bert):
    training = source(shop, tiny_bert, uniform=20)
    cut = windows(training.examples, 4)
    plain = WindowBatches(training=training, windows=cut, width=12, searches=0.0)
    collator = replace(plain, searches=1.0)
    chosen = list(range(20))
    first = len(plain(chosen).cells)

    batch = collator(chosen)

    histories = batch.histories
    ids, owners = histories.ids.flatten(), histories.owners.flatten()
    with_history = 0
    assert len(batch.cells) == first + 20
    for shopper in range(first, first + 20):
        chosen_places = batch.choices.targets[batch.choices.users == shopper]
        target = int(batch.rows[batch.candidates[chosen_places]])
        owner = owners[batch.cells[shopper]]
        sequence = ids[owners == owner]
        (number,) = (sequence[sequence > len(batch.rows)] - len(batch.rows) - 1).tolist()
        assert sequence[-1] > len(batch.rows)
        searched = batch.searches.ids[number][batch.searches.mask[number].bool()].tolist()
        special, text = training.inputs.special, training.inputs.texts[target].tolist()
        assert searched[0] == special.cls
        assert searched[-1] == special.sep
        assert "".join(map(chr, searched[1:-1])) in "".join(map(chr, text))
        known = batch.rows[sequence[sequence < len(batch.rows)]]
        assert target not in known
        with_history += len(known) > 0
    assert 3 < with_history < 17


def test_every_item_of_a_sequence_has_its_own_interaction_code_or_none_has(shop, tiny_bert):
    training = source(shop, tiny_bert, uniform=20)
    codes = 1 + np.arange(len(training.examples.items))
    numbered = replace(training.examples, interaction_codes=codes)
    training = replace(training, examples=numbered)
    cut = windows(training.examples, 4)
    collator = WindowBatches(training=training, windows=cut, width=12, searches=0.5)

    batch = collator(list(range(120)))

    histories, rows = batch.histories, batch.rows.numpy()
    ids, owners, interaction_codes = (
        grid.flatten().numpy()
        for grid in (histories.ids, histories.owners, histories.interaction_codes)
    )
    without_codes = 0
    for owner in range(owners.max() + 1):
        own = owners == owner
        is_item = own & (ids < len(rows))
        assert not interaction_codes[own & ~is_item].any()
        if not interaction_codes[is_item].any():
            without_codes += is_item.any()
            continue
        np.testing.assert_array_equal(
            training.examples.items[interaction_codes[is_item] - 1], rows[ids[is_item]]
        )
    assert 5 < without_codes < 40


def test_searches_are_augmented_when_configured(shop, tiny_bert):
    plain = source(shop, tiny_bert, uniform=0)
    dropping = replace(plain, augmentation=AugmentationConfig(dropped_words=0.9))

    lengths = [
        np.mean([len(training.search(0, np.random.default_rng(seed))) for seed in range(50)])
        for training in (plain, dropping)
    ]

    assert lengths[1] < lengths[0]


def test_an_augmented_search_that_begins_inside_a_word_is_read_as_its_letters(
    shop, tiny_bert, monkeypatch
):
    plain, tokenizer = source(shop, tiny_bert, uniform=0), load_tokenizer(str(tiny_bert))
    texts = tokenize(["mugs lamp"] * len(shop.titles), tokenizer, max_tokens=8)
    inputs, read = replace(plain.inputs, texts=texts, tokenizer=tokenizer), set()
    monkeypatch.setattr(TextInputs, "search", lambda self, words: read.add(words))
    changing = replace(plain, inputs=inputs, augmentation=AugmentationConfig(typos=1e-9))

    for seed in range(50):
        changing.search(0, np.random.default_rng(seed))

    assert {"mugs lamp", "mugs", "mug", "s", "s lamp", "lamp"} == read


def test_changes_of_histories_reach_the_batches(shop, tiny_bert):
    config = TowersConfig(cropped=0.9, reordered=0.9, widths=[], dimension=8)
    loader = batches(config, source(shop, tiny_bert, uniform=0))

    changed, plain = (
        loader.collate_fn(range(20)),
        replace(loader.collate_fn, cropped=0.0, reordered=0.0)(range(20)),
    )

    assert len(changed.histories.starts) > len(plain.histories.starts)

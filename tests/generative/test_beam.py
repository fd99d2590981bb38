"""Beam search against the likelihoods of all items, and its guarantee under filters."""

import numpy as np
import pytest
import torch

from generative.decoder import log_probabilities

HISTORIES = [np.array(history, np.int32) for history in ([3, 9, 200], [7], list(range(40, 60)))]
NONE = np.empty(0, np.int32)


def likelihoods(generator, history):
    """Log probability of every item, code by code."""
    trie, items = generator.trie, np.arange(len(generator.codes))
    states = generator.states([history]).repeat(len(items), 1)
    total = np.zeros(len(items))
    for level in range(trie.depth):
        continuing = torch.from_numpy(trie.continuing(level)[trie.nodes_of(level, items)])
        own = log_probabilities(generator.decoder.logits(states, level), continuing)
        total += own.gather(1, generator.codes[:, level : level + 1])[:, 0].numpy()
        if level + 1 < trie.depth:
            states = generator.decoder.advance(states, level, generator.codes[:, level])
    return total


def test_the_probabilities_of_all_items_sum_to_one(generator):
    assert np.exp(likelihoods(generator, HISTORIES[0])).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("history", HISTORIES)
def test_a_beam_as_wide_as_the_catalogue_ranks_by_exact_likelihood(generator, history):
    ((rows, logs),) = generator([history], [NONE], [None], 300)

    expected = likelihoods(generator, history)
    assert sorted(rows.tolist()) == list(range(300))
    np.testing.assert_allclose(logs, expected[rows], atol=1e-4)
    assert (np.diff(logs) <= 0).all()


def test_narrow_beams_find_probable_items(generator):
    ((rows, logs),) = generator([HISTORIES[0]], [NONE], [None], 20)

    expected = likelihoods(generator, HISTORIES[0])
    np.testing.assert_allclose(logs, expected[rows], atol=1e-4)
    assert len(np.intersect1d(rows[:5], np.argsort(-expected)[:5])) >= 4


@pytest.mark.parametrize("seed", range(20))
def test_every_shopper_gets_as_many_allowed_items_as_remain(generator, seed):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 40))
    allowed = [
        None if rng.random() < 0.3 else rng.permutation(300)[: rng.integers(60)] for _ in HISTORIES
    ]
    excluded = [rng.permutation(300)[: rng.integers(300)].astype(np.int32) for _ in HISTORIES]

    found = generator(HISTORIES, excluded, allowed, size)

    for (rows, _), left_out, among in zip(found, excluded, allowed, strict=True):
        left = np.setdiff1d(np.arange(300) if among is None else among, left_out)
        assert len(rows) == len(np.unique(rows)) == min(size, len(left))
        assert np.isin(rows, left).all()


def test_nothing_is_generated_where_nothing_is_left_for_anybody(generator):
    everything = np.arange(300, dtype=np.int32)

    found = generator(HISTORIES[:2], [everything, NONE], [None, np.array([400])], 5)

    assert [len(rows) for rows, _ in found] == [0, 0]


def test_a_filter_that_leaves_the_least_probable_item_finds_it(generator):
    least = int(np.argmin(likelihoods(generator, HISTORIES[1])))

    ((rows, _),) = generator([HISTORIES[1]], [NONE], [np.array([least])], 1)

    assert rows.tolist() == [least]


def test_a_batch_equals_its_shoppers_one_by_one(generator):
    excluded, allowed = [history[:1] for history in HISTORIES], [None, np.arange(100), None]

    together = generator(HISTORIES, excluded, allowed, 10)

    for place, (rows, logs) in enumerate(together):
        ((alone, of_alone),) = generator(
            [HISTORIES[place]], [excluded[place]], [allowed[place]], 10
        )
        assert rows.tolist() == alone.tolist()
        np.testing.assert_allclose(logs, of_alone, atol=1e-5)


def test_nothing_is_generated_without_a_history_that_has_codes(generator):
    unknown = np.array([300, 301], np.int32)

    found = generator([NONE, unknown, HISTORIES[0]], [NONE] * 3, [None] * 3, 5)

    assert [len(rows) for rows, _ in found] == [0, 0, 5]


def test_items_after_a_place_do_not_change_its_state(generator):
    history = torch.from_numpy(HISTORIES[0].astype(np.int64))
    longer = torch.cat([history, torch.tensor([5, 6])])

    states = generator.decoder.states(generator.codes[history][None])
    more = generator.decoder.states(generator.codes[longer][None])

    torch.testing.assert_close(states, more[:, :3], atol=1e-5, rtol=0)

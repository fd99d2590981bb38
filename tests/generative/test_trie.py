import numpy as np
import pytest

from generative.trie import Remaining, Trie


def test_a_node_holds_the_items_that_share_its_prefix(codes):
    trie = Trie.of(codes)

    for level in range(trie.depth + 1):
        nodes = trie.nodes_of(level, np.arange(len(codes)))
        _, expected = np.unique(codes[:, :level], axis=0, return_inverse=True)
        np.testing.assert_array_equal(nodes, expected if level else 0)


def test_codes_continue_a_prefix_if_an_item_has_both(codes):
    trie = Trie.of(codes)

    for level in range(trie.depth):
        expected = np.zeros_like(trie.continuing(level))
        expected[trie.nodes_of(level, np.arange(len(codes))), codes[:, level]] = True
        np.testing.assert_array_equal(trie.continuing(level), expected)


def test_equal_codes_are_refused():
    with pytest.raises(ValueError, match="codes must differ between items, got 1 equal ones"):
        Trie.of(np.array([[1, 2], [0, 1], [1, 2]], np.int32))


@pytest.mark.parametrize("allowed", [None, np.arange(0, 300, 3)])
def test_what_remains_below_a_node_is_counted(codes, allowed):
    trie, excluded = Trie.of(codes), np.array([0, 3, 4, 4, 299])
    remaining = Remaining.of(trie, excluded, allowed)
    left = np.setdiff1d(np.arange(300) if allowed is None else allowed, excluded)

    for level in trie.levels:
        counts = remaining.counts(level.starts[:-1], level.starts[1:])
        expected = [
            np.isin(trie.order[start:end], left).sum()
            for start, end in zip(level.starts, level.starts[1:], strict=False)
        ]
        assert counts.tolist() == expected

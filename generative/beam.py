"""Beam search for items: prefixes are continued only where an item remains that may be shown."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from generative.decoder import Decoder
from generative.trie import Level, Remaining, Rows64, Trie
from index.arrays import Scores


@dataclass(frozen=True, kw_only=True)
class Beams:
    """Prefixes of one length of several shoppers, grouped by shopper."""

    shoppers: Rows64
    """(beams,) place of each one's shopper in the batch, not decreasing"""
    nodes: Rows64
    """(beams,) node of the trie"""
    log_probabilities: Scores
    """(beams,) of the prefix, best first within a shopper"""


def generate(
    decoder: Decoder, trie: Trie, states: Tensor, remaining: Sequence[Remaining], width: int
) -> list[tuple[Rows64, Scores]]:
    """Item rows of the most probable items found and their log probabilities, best first.

    Every beam that is kept leads to an item that remains, and beams are dropped only where `width`
    others are kept. So each shopper gets `width` items, or all that remain if they are fewer.

    Args:
        decoder: Writes the codes.
        trie: Prefixes of all items.
        states: (shoppers, width of the decoder) states after the histories.
        remaining: Items that may be generated, of each shopper.
        width: Beams of a shopper.
    """
    shoppers = len(remaining)
    beams = Beams(
        shoppers=np.arange(shoppers),
        nodes=np.zeros(shoppers, np.int64),
        log_probabilities=np.zeros(shoppers, np.float32),
    )
    for level in range(trie.depth):
        beams, parents = _continued(decoder, trie, level, states, beams, remaining, width)
        states = states[torch.from_numpy(parents)]
        if level + 1 < trie.depth:
            codes = torch.from_numpy(trie.levels[level + 1].codes[beams.nodes]).long()
            states = decoder.advance(states, level, codes.to(states.device))
    rows = trie.order[beams.nodes]  # the nodes of the last level are the items in their order
    bounds = np.searchsorted(beams.shoppers, np.arange(shoppers + 1))
    return [
        (rows[start:end], beams.log_probabilities[start:end])
        for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
    ]


def _continued(
    decoder: Decoder,
    trie: Trie,
    level: int,
    states: Tensor,
    beams: Beams,
    remaining: Sequence[Remaining],
    width: int,
) -> tuple[Beams, Rows64]:
    """The best beams that are one code longer, and the place of each one's parent."""
    here, following = trie.levels[level], trie.levels[level + 1]
    parents, children = _children(here, beams.nodes)
    own = _log_softmax_of(decoder, level, states, parents, following.codes[children], len(beams.nodes))
    total = beams.log_probabilities[parents] + own
    shoppers = beams.shoppers[parents]
    kept = _remain(following, children, shoppers, remaining)
    parents, children, total, shoppers = (
        values[kept] for values in (parents, children, total, shoppers)
    )
    order = np.lexsort((-total, shoppers))
    starts = np.searchsorted(shoppers[order], np.arange(len(remaining)))
    rank = np.arange(len(order)) - starts[shoppers[order]]
    best = order[rank < width]
    return (
        Beams(shoppers=shoppers[best], nodes=children[best], log_probabilities=total[best]),
        parents[best],
    )


def _children(here: Level, nodes: Rows64) -> tuple[Rows64, Rows64]:
    """(children,) place of each child's parent among the nodes, and the child's node."""
    counts = here.branches[nodes]
    parents = np.repeat(np.arange(len(nodes)), counts)
    within = np.arange(len(parents)) - np.repeat(np.cumsum(counts) - counts, counts)
    return parents, here.children[nodes][parents] + within


def _log_softmax_of(
    decoder: Decoder,
    level: int,
    states: Tensor,
    parents: Rows64,
    codes: NDArray[np.int32],
    beams: int,
) -> Scores:
    """(children,) log probability of each child's code among the children of its parent.

    A prefix with one child continues with certainty, so its logits are not computed.
    """
    counts = np.bincount(parents, minlength=beams)
    found = np.zeros(len(parents), np.float32)
    open_beams = np.flatnonzero(counts > 1)
    if not len(open_beams):
        return found
    place = np.cumsum(counts > 1) - 1
    chosen = np.flatnonzero(counts[parents] > 1)
    logits = decoder.logits(states[torch.from_numpy(open_beams)], level).float().cpu().numpy()
    own = logits[place[parents[chosen]], codes[chosen]].astype(np.float64)
    starts = np.flatnonzero(np.diff(parents[chosen], prepend=-1))
    sizes = counts[open_beams]
    highest = np.repeat(np.maximum.reduceat(own, starts), sizes)
    sums = np.add.reduceat(np.exp(own - highest), starts)
    found[chosen] = own - highest - np.repeat(np.log(sums), sizes)
    return found


def _remain(
    level: Level, nodes: Rows64, shoppers: Rows64, remaining: Sequence[Remaining]
) -> NDArray[np.bool_]:
    """(nodes,) whether an item remains below each node for its shopper; `shoppers` ascend."""
    starts, ends = level.starts[nodes], level.starts[nodes + 1]
    bounds = np.searchsorted(shoppers, np.arange(len(remaining) + 1))
    found = np.empty(len(nodes), bool)
    for shopper, left in enumerate(remaining):
        own = slice(bounds[shopper], bounds[shopper + 1])
        found[own] = left.counts(starts[own], ends[own]) > 0
    return found

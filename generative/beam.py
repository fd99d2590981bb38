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
    states: Tensor
    """(beams, width) states of the decoder after the prefix"""


@dataclass(frozen=True, kw_only=True)
class BeamSearch:
    """A search for the most probable items of several shoppers.

    Every beam that is kept leads to an item that remains, and beams are dropped only where `size`
    others are kept. So each shopper gets `size` items, or all that remain if they are fewer.
    """

    decoder: Decoder
    trie: Trie
    remaining: Sequence[Remaining]
    """Items that may be generated, of each shopper"""
    size: int
    """Beams of a shopper"""

    def __call__(self, states: Tensor) -> list[tuple[Rows64, Scores]]:
        """Item rows and log probabilities of each shopper, (found,) both, best first.

        Args:
            states: (shoppers, width) states of the decoder after the histories.
        """
        shoppers = np.arange(len(self.remaining))
        beams = Beams(
            shoppers=shoppers,
            nodes=np.zeros_like(shoppers),
            log_probabilities=np.zeros(len(shoppers), np.float32),
            states=states,
        )
        for level in range(self.trie.depth):
            beams = self._longer(beams, level)
        rows = self.trie.order[beams.nodes]  # the nodes of the last level are the items in order
        ends = np.searchsorted(beams.shoppers, shoppers, side="right")[:-1]
        return list(zip(np.split(rows, ends), np.split(beams.log_probabilities, ends), strict=True))

    def _longer(self, beams: Beams, level: int) -> Beams:
        """The best beams that are one code longer."""
        following = self.trie.levels[level + 1]
        parents, children = _children(self.trie.levels[level], beams.nodes)
        total = beams.log_probabilities[parents]
        total = total + self._of_codes(beams, level, parents, following.codes[children])
        shoppers = beams.shoppers[parents]
        kept = np.flatnonzero(self._remain(following, children, shoppers))
        order = kept[np.lexsort((-total[kept], shoppers[kept]))]
        starts = np.searchsorted(shoppers[order], np.arange(len(self.remaining)))
        best = order[np.arange(len(order)) - starts[shoppers[order]] < self.size]
        states = beams.states[torch.from_numpy(parents[best])]
        if level + 1 < self.trie.depth:
            codes = torch.from_numpy(following.codes[children[best]]).long()
            states = self.decoder.advance(states, level, codes.to(states.device))
        return Beams(
            shoppers=shoppers[best],
            nodes=children[best],
            log_probabilities=total[best],
            states=states,
        )

    def _of_codes(
        self, beams: Beams, level: int, parents: Rows64, codes: NDArray[np.int32]
    ) -> Scores:
        """(children,) log probability of each child's code among the children of its parent.

        A prefix with one child continues with certainty, so its logits are not computed.

        Args:
            beams: Beams that are continued.
            level: Number of codes so far.
            parents: (children,) beam of each child, not decreasing.
            codes: (children,) code of each child.
        """
        counts = np.bincount(parents, minlength=len(beams.nodes))
        found = np.zeros(len(parents), np.float32)
        several = counts > 1
        if not several.any():
            return found
        states = beams.states[torch.from_numpy(np.flatnonzero(several))]
        logits = self.decoder.logits(states, level).float().cpu().numpy()
        chosen = np.flatnonzero(several[parents])
        own = logits[(np.cumsum(several) - 1)[parents[chosen]], codes[chosen]].astype(np.float64)
        starts, sizes = np.flatnonzero(np.diff(parents[chosen], prepend=-1)), counts[several]
        own -= np.repeat(np.maximum.reduceat(own, starts), sizes)
        found[chosen] = own - np.repeat(np.log(np.add.reduceat(np.exp(own), starts)), sizes)
        return found

    def _remain(self, level: Level, nodes: Rows64, shoppers: Rows64) -> NDArray[np.bool_]:
        """(nodes,) whether an item remains below each node for its shopper."""
        starts, ends = level.starts[nodes], level.starts[nodes + 1]
        bounds = np.searchsorted(shoppers, np.arange(len(self.remaining) + 1))
        found = np.empty(len(nodes), bool)
        for shopper, left in enumerate(self.remaining):
            own = slice(bounds[shopper], bounds[shopper + 1])
            found[own] = left.counts(starts[own], ends[own]) > 0
        return found


def _children(here: Level, nodes: Rows64) -> tuple[Rows64, Rows64]:
    """(children,) place of each child's parent among the nodes, and the child's node."""
    counts = here.branches[nodes]
    parents = np.repeat(np.arange(len(nodes)), counts)
    within = np.arange(len(parents)) - np.repeat(np.cumsum(counts) - counts, counts)
    return parents, here.children[nodes][parents] + within

"""Both sources of recall, the index and the neighbour lists, merged by one score."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from dataset.postings import bitmap_of, rows_of
from index.config import NeighboursConfig
from index.item_knn import NEXT_ITEMS, Neighbours
from index.live_index import LiveIndex
from index.open_store import load_store
from index.ranked_list import RankedList, Rows, Scores
from index.vector_store import VectorStore
from lineage.manifest import read_manifest

WEIGHT = "neighbour weight"
"""Fact of the index stage: the weight that it chose, or that it was given."""
WIDTH = 64
"""Searches look for a multiple of so many items, so that many can be done at once."""


@dataclass(frozen=True, kw_only=True)
class RecallSources:
    """The index and the neighbour lists of one release."""

    index: LiveIndex
    """Over the items' embeddings"""
    neighbours: Neighbours | None
    """Item-kNN lists; None where the source is off"""
    next_items: Neighbours | None
    """What was bought after each item; features read it, it recalls nothing"""
    temperature: float
    """Divides cosines, as in the towers' training"""
    config: NeighboursConfig
    """How the sources are merged, with a known weight"""
    preference: NDArray[np.int64]
    """(items of the release,) random order that breaks ties of item-kNN scores"""

    @classmethod
    def of(
        cls,
        store: VectorStore,
        neighbours: Neighbours | None,
        *,
        temperature: float,
        config: NeighboursConfig,
        next_items: Neighbours | None = None,
    ) -> "RecallSources":
        """Put the parts of a release together.

        Args:
            store: Holds the items' embeddings.
            neighbours: Item-kNN lists; None turns the source off.
            temperature: Divides cosines, as in the towers' training.
            config: How the sources are merged.
            next_items: What was bought after each item.

        Raises:
            ValueError: there are item-kNN lists, but their weight is unknown.
        """
        if neighbours is not None and config.weight is None:
            raise ValueError("weight must be that of the index stage, got None")
        return cls(
            index=LiveIndex(store),
            neighbours=neighbours,
            next_items=next_items,
            temperature=temperature,
            config=config,
            preference=np.random.default_rng(0).permutation(len(store)),
        )

    @classmethod
    def load(cls, root: Path) -> "RecallSources":
        """Load from a dataset's finished stages."""
        manifest = read_manifest(root / "index", "index")
        config = NeighboursConfig(**manifest.config["neighbours"])
        if config.kept:
            config = replace(config, weight=manifest.facts[WEIGHT])
        return cls.of(
            load_store(root / "index", manifest.config.get("gpus", "auto")),
            Neighbours.load(root / "index") if config.kept else None,
            temperature=read_manifest(root / "towers", "towers").facts["temperature"],
            config=config,
            next_items=Neighbours.load(root / "index", NEXT_ITEMS) if config.kept else None,
        )

    def nearest(
        self, embedding: Scores, excluded: Rows, size: int, *, allowed: BitMap | None = None
    ) -> tuple[Rows, Scores]:
        """Items nearest to an embedding.

        Args:
            embedding: (dimension,) of unit length.
            excluded: Item rows to leave out, in whatever form the items now have.
            size: Items wanted; fewer come back when the index finds fewer.
            allowed: Item rows to choose from: then `size` come back wherever so many are left.
                None for all, of which those that the index finds.

        Returns:
            Item rows and cosines, both (found,), best first.
        """
        return self.nearest_all(embedding[None], [excluded], size, allowed=[allowed])[0]

    def nearest_all(
        self,
        embeddings: Scores,
        excluded: Sequence[Rows],
        size: int,
        *,
        allowed: Sequence[BitMap | None],
    ) -> list[tuple[Rows, Scores]]:
        """The same for some embeddings, (embeddings, dimension), each with rows of its own.

        How far an embedding is looked for hangs on its own rows alone, not on the others'.
        """
        left_out = [np.unique(self.index.origins(rows)) for rows in excluded]
        found: dict[int, tuple[Rows, Scores]] = {}
        together: dict[int, list[int]] = defaultdict(list)
        for place, (gone, among) in enumerate(zip(left_out, allowed, strict=True)):
            if among is None:
                k = WIDTH * -(-(size + len(gone)) // WIDTH)
                together[min(k, len(self.index))].append(place)
            else:
                found[place] = self._among(embeddings[place], gone, size, among)
        for k, places in together.items():
            cosines, rows = self.index.search(embeddings[places], k)
            for place, some, of_them in zip(places, rows, cosines, strict=True):
                known = np.isin(self.index.origins(some), left_out[place])
                kept = np.flatnonzero((some >= 0) & ~known)[:size]
                found[place] = some[kept].astype(np.int32), of_them[kept]
        return [found[place] for place in range(len(left_out))]

    def _among(
        self, embedding: Scores, left_out: Rows, size: int, allowed: BitMap
    ) -> tuple[Rows, Scores]:
        gone = self.index.current(left_out)
        cosines, rows = self.index.search_among(
            embedding, size, allowed - bitmap_of(np.sort(gone[gone >= 0]))
        )
        return rows.astype(np.int32), cosines

    def shortlist(
        self,
        embedding: Scores,
        history: Rows,
        size: int,
        *,
        listed: bool = True,
        allowed: BitMap | None = None,
    ) -> RankedList:
        """The best items of both sources, history left out, best first.

        Args:
            embedding: (dimension,) of the shopper, of unit length.
            history: Item rows, oldest first; may be empty.
            size: Items wanted of each source, and of both together.
            listed: Whether the neighbour lists are asked too.
            allowed: Item rows to choose from; None for all.
        """
        return self.shortlists(
            embedding[None], [history], size, listed=[listed], allowed=[allowed]
        )[0]

    def shortlists(
        self,
        embeddings: Scores,
        histories: Sequence[Rows],
        size: int,
        *,
        listed: Sequence[bool] | None = None,
        allowed: Sequence[BitMap | None] | None = None,
    ) -> list[RankedList]:
        """The same for some shoppers, whose embeddings (shoppers, dimension) are sought at once."""
        some = range(len(histories))
        every = [None for _ in some]
        by_towers = self.nearest_all(embeddings, histories, size, allowed=allowed or every)
        found = [
            self._with_neighbours(
                embeddings[place],
                histories[place],
                by_towers[place][0],
                size,
                listed=listed is None or listed[place],
                allowed=None if allowed is None else allowed[place],
            )
            for place in some
        ]
        return [_shortlisted(one, size) for one in found]

    def union(
        self,
        embedding: Scores,
        history: Rows,
        size: int,
        *,
        listed: bool = True,
        allowed: BitMap | None = None,
    ) -> RankedList:
        """What `shortlist` chooses from: the `size` best of either source, in no order."""
        by_towers, _ = self.nearest(embedding, history, size, allowed=allowed)
        return self._with_neighbours(
            embedding, history, by_towers, size, listed=listed, allowed=allowed
        )

    def _with_neighbours(
        self,
        embedding: Scores,
        history: Rows,
        by_towers: Rows,
        size: int,
        *,
        listed: bool,
        allowed: BitMap | None,
    ) -> RankedList:
        """What the towers recalled, and beside it what the lists do."""
        known, scores = self._listed(history if listed else history[:0])
        current = self.index.current(known)
        fresh = ~np.isin(known, self.index.origins(history)) & (current >= 0)
        if allowed is not None:
            fresh[fresh] = np.isin(current[fresh], rows_of(bitmap_of(current[fresh]) & allowed))
        best = np.lexsort((self.preference[known[fresh]], -scores[fresh]))[:size]
        by_neighbours = current[fresh][best].astype(np.int32)
        rows = np.concatenate([by_towers, by_neighbours[~np.isin(by_neighbours, by_towers)]])
        return replace(
            self._judged(embedding, rows, known, scores),
            by_towers=np.isin(rows, by_towers),
            by_neighbours=np.isin(rows, by_neighbours),
        )

    def judge(self, embedding: Scores, history: Rows, rows: Rows) -> RankedList:
        """What both sources say of given items, in the given order; recalled by neither."""
        return self._judged(embedding, rows, *self._listed(history))

    def merged(
        self, cosines: Scores, neighbour_scores: Scores, *, weight: float | None = None
    ) -> Scores:
        """(items,) logits that a shortlist is ordered by.

        Args:
            cosines: (items,)
            neighbour_scores: (items,)
            weight: What the lists count; by default as configured.
        """
        logits = cosines / self.temperature
        if self.neighbours is not None:
            weight = self.config.weight if weight is None else weight
            logits = logits + weight * np.log(neighbour_scores + self.config.floor)
        scores: Scores = logits.astype(np.float32)
        return scores

    def _listed(self, history: Rows) -> tuple[Rows, Scores]:
        """Item rows, ascending, that the neighbour lists have a score for, and the scores."""
        if self.neighbours is None:
            return np.empty(0, np.int32), np.empty(0, np.float32)
        return self.neighbours.scores(self.index.origins(history), decay=self.config.decay)

    def _judged(self, embedding: Scores, rows: Rows, known: Rows, scores: Scores) -> RankedList:
        cosines = (self.index.vectors(rows) @ embedding).astype(np.float32)
        shared = np.zeros(len(rows), np.float32)
        if len(known):
            origins = self.index.origins(rows)
            place = np.minimum(np.searchsorted(known, origins), len(known) - 1)
            shared = np.where(known[place] == origins, scores[place], 0).astype(np.float32)
        return replace(
            RankedList.of(rows, self.merged(cosines, shared)),
            cosines=cosines,
            neighbour_scores=shared,
        )


def _shortlisted(union: RankedList, size: int) -> RankedList:
    """The best items of a union, best first; equal ones in the order they came in."""
    best = union.take(np.argsort(-union.scores, kind="stable")[:size])
    return replace(best, shortlist_ranks=1 + np.arange(len(best)))

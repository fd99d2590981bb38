"""Both recall sources, the index and the neighbour lists, merged by one score."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from dataset.interaction_codes import history_weights
from dataset.postings import bitmap_of, rows_of
from index.arrays import Rows, Scores
from index.config import NeighboursConfig
from index.item_knn import NEXT_ITEMS, NeighbourLists
from index.live_index import LiveIndex
from index.open_store import load_store
from index.ranked_list import RankedList
from index.vector_store import VectorStore
from lineage.manifest import read_manifest
from lineage.stages import INDEX, TOWERS

WEIGHT = "neighbour weight"
"""Key of an index stage's fact: the weight that it chose or was given."""
ACTION_WEIGHTS = "action weights"
"""Key of an index stage's fact: weight of each action number, 0 for actions that take away."""
WIDTH = 64
"""Searches round their size up to a multiple of this, so that more of them share a batch."""


@dataclass(frozen=True, kw_only=True)
class RecallSources:
    """The index and the neighbour lists of one release."""

    index: LiveIndex
    """Index over the items' embeddings"""
    neighbours: NeighbourLists | None
    """Item-kNN lists; None if the source is off"""
    next_items: NeighbourLists | None
    """Items bought after each item; read by the features, not a recall source"""
    temperature: float
    """Divides cosines, as in the towers' training"""
    config: NeighboursConfig
    """How the sources are merged; its weight is set"""
    preference: NDArray[np.int64]
    """(items of the release,) random order that breaks ties of item-kNN scores"""
    action_weights: Scores
    """(1 + actions,) weight of each action number in item-kNN scores"""

    @classmethod
    def of(
        cls,
        store: VectorStore,
        neighbours: NeighbourLists | None,
        *,
        temperature: float,
        config: NeighboursConfig,
        next_items: NeighbourLists | None = None,
        action_weights: Sequence[float] = (1.0,),
    ) -> "RecallSources":
        """Assemble the recall sources of a release, without changes.

        Args:
            store: Holds the items' embeddings.
            neighbours: Item-kNN lists; None turns the source off.
            temperature: Divides cosines, as in the towers' training.
            config: How the sources are merged.
            next_items: Items bought after each item.
            action_weights: Weight of each action number in a history; a larger number weighs as
                the last.

        Raises:
            ValueError: there are item-kNN lists, but no weight for them.
        """
        if neighbours is not None and config.weight is None:
            raise ValueError("weight must be set when there are neighbour lists, got None")
        return cls(
            index=LiveIndex.of(store),
            neighbours=neighbours,
            next_items=next_items,
            temperature=temperature,
            config=config,
            preference=np.random.default_rng(0).permutation(len(store)),
            action_weights=np.asarray(action_weights, np.float32),
        )

    @classmethod
    def load(cls, root: Path) -> "RecallSources":
        """Load the recall sources from a dataset's finished stages."""
        manifest = read_manifest(root / INDEX, INDEX)
        config = NeighboursConfig(**manifest.config["neighbours"])
        if config.kept:
            config = replace(config, weight=manifest.facts[WEIGHT])
        return cls.of(
            load_store(root / INDEX, manifest.config.get("gpus", "auto")),
            NeighbourLists.load(root / INDEX) if config.kept else None,
            temperature=read_manifest(root / TOWERS, TOWERS).facts["temperature"],
            config=config,
            next_items=NeighbourLists.load(root / INDEX, NEXT_ITEMS) if config.kept else None,
            action_weights=manifest.facts[ACTION_WEIGHTS] if config.kept else (1.0,),
        )

    def nearest(
        self, embedding: Scores, excluded: Rows, size: int, *, allowed: BitMap | None = None
    ) -> tuple[Rows, Scores]:
        """Items nearest to an embedding.

        Args:
            embedding: (dimension,) of unit length.
            excluded: Item rows to leave out; their items are left out under any other row, too.
            size: Items wanted; fewer come back if the index finds fewer.
            allowed: Item rows to choose from; then `size` items come back if that many remain.
                None allows all items.

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
        """`nearest` for a batch of embeddings, (embeddings, dimension), each with its own rows.

        The search width of an embedding depends only on its own rows, not on the rest of the batch.
        """
        origins = [np.unique(self.index.origins(rows)) for rows in excluded]
        found: dict[int, tuple[Rows, Scores]] = {}
        batches: dict[int, list[int]] = defaultdict(list)
        for place, (left_out, among) in enumerate(zip(origins, allowed, strict=True)):
            if among is None:
                k = WIDTH * -(-(size + len(left_out)) // WIDTH)
                batches[min(k, len(self.index))].append(place)
            else:
                found[place] = self._among(embeddings[place], left_out, size, among)
        for k, places in batches.items():
            cosines, rows = self.index.search(embeddings[places], k)
            for place, own_rows, own_cosines in zip(places, rows, cosines, strict=True):
                left_out = np.isin(self.index.origins(own_rows), origins[place])
                best = np.flatnonzero((own_rows >= 0) & ~left_out)[:size]
                found[place] = own_rows[best].astype(np.int32), own_cosines[best]
        return [found[place] for place in range(len(origins))]

    def _among(
        self, embedding: Scores, left_out: Rows, size: int, allowed: BitMap
    ) -> tuple[Rows, Scores]:
        current = self.index.current(left_out)
        cosines, rows = self.index.search_among(
            embedding, size, allowed - bitmap_of(np.sort(current[current >= 0]))
        )
        return rows.astype(np.int32), cosines

    def shortlist(
        self,
        embedding: Scores,
        history: Rows,
        size: int,
        *,
        uses_neighbours: bool = True,
        allowed: BitMap | None = None,
        interaction_codes: Rows | None = None,
        excluded: Rows | None = None,
    ) -> RankedList:
        """The best items of both sources without the excluded ones, best first.

        Args:
            embedding: (dimension,) of the shopper, of unit length.
            history: Item rows, oldest first; may be empty.
            size: Items to recall from each source, and to return after merging.
            uses_neighbours: Whether the neighbour lists are used.
            allowed: Item rows to choose from; None for all.
            interaction_codes: (history,) interaction codes, whose actions weigh the history in
                item-kNN scores; None if unknown.
            excluded: Item rows to leave out; None for the history's.
        """
        return self.shortlists(
            embedding[None],
            [history],
            size,
            uses_neighbours=[uses_neighbours],
            allowed=[allowed],
            interaction_codes=[interaction_codes],
            excluded=[history if excluded is None else excluded],
        )[0]

    def shortlists(
        self,
        embeddings: Scores,
        histories: Sequence[Rows],
        size: int,
        *,
        uses_neighbours: Sequence[bool] | None = None,
        allowed: Sequence[BitMap | None] | None = None,
        interaction_codes: Sequence[Rows | None] | None = None,
        excluded: Sequence[Rows] | None = None,
    ) -> list[RankedList]:
        """`shortlist` for a batch of shoppers, embeddings (shoppers, dimension), in one search."""
        shoppers = range(len(histories))
        all_items = [None for _ in shoppers]
        left_out = histories if excluded is None else excluded
        by_towers = self.nearest_all(embeddings, left_out, size, allowed=allowed or all_items)
        unions = [
            self._with_neighbours(
                embeddings[place],
                histories[place],
                by_towers[place][0],
                size,
                uses_neighbours=uses_neighbours is None or uses_neighbours[place],
                allowed=None if allowed is None else allowed[place],
                interaction_codes=None if interaction_codes is None else interaction_codes[place],
                excluded=left_out[place],
            )
            for place in shoppers
        ]
        return [_shortlisted(union, size) for union in unions]

    def union(
        self,
        embedding: Scores,
        history: Rows,
        size: int,
        *,
        uses_neighbours: bool = True,
        allowed: BitMap | None = None,
        interaction_codes: Rows | None = None,
        excluded: Rows | None = None,
    ) -> RankedList:
        """The items that `shortlist` chooses from: the `size` best of each source, unordered."""
        left_out = history if excluded is None else excluded
        by_towers, _ = self.nearest(embedding, left_out, size, allowed=allowed)
        return self._with_neighbours(
            embedding,
            history,
            by_towers,
            size,
            uses_neighbours=uses_neighbours,
            allowed=allowed,
            interaction_codes=interaction_codes,
            excluded=left_out,
        )

    def _with_neighbours(
        self,
        embedding: Scores,
        history: Rows,
        by_towers: Rows,
        size: int,
        *,
        uses_neighbours: bool,
        allowed: BitMap | None,
        interaction_codes: Rows | None,
        excluded: Rows,
    ) -> RankedList:
        """Union of the items that the towers recalled and those that the lists recall."""
        known, scores = self._neighbour_scores(
            history if uses_neighbours else history[:0], interaction_codes, forgotten=True
        )
        current = self.index.current(known)
        fresh = ~np.isin(known, self.index.origins(excluded)) & (current >= 0)
        if allowed is not None:
            fresh[fresh] = np.isin(current[fresh], rows_of(bitmap_of(current[fresh]) & allowed))
        best = np.lexsort((self.preference[known[fresh]], -scores[fresh]))[:size]
        by_neighbours = current[fresh][best].astype(np.int32)
        rows = np.concatenate([by_towers, by_neighbours[~np.isin(by_neighbours, by_towers)]])
        return replace(
            self._scored(embedding, rows, known, scores),
            by_towers=np.isin(rows, by_towers),
            by_neighbours=np.isin(rows, by_neighbours),
        )

    def score_items(
        self,
        embedding: Scores,
        history: Rows,
        rows: Rows,
        *,
        interaction_codes: Rows | None = None,
    ) -> RankedList:
        """Scores of both sources for given items, in the given order, marked as not recalled."""
        known, scores = self._neighbour_scores(history, interaction_codes, forgotten=False)
        return self._scored(embedding, rows, known, scores)

    def merged(
        self, cosines: Scores, neighbour_scores: Scores, *, weight: float | None = None
    ) -> Scores:
        """(items,): logits that order a shortlist.

        Args:
            cosines: (items,) cosines of the shopper's and the items' embeddings.
            neighbour_scores: (items,) item-kNN scores.
            weight: Weight of the neighbour lists; by default the configured one.
        """
        logits = cosines / self.temperature
        if self.neighbours is not None:
            weight = self.config.weight if weight is None else weight
            logits = logits + weight * np.log(neighbour_scores + self.config.floor)
        scores: Scores = logits.astype(np.float32)
        return scores

    def _neighbour_scores(
        self, history: Rows, interaction_codes: Rows | None, *, forgotten: bool
    ) -> tuple[Rows, Scores]:
        """Item rows with an item-kNN score, ascending, and the scores; empty without the lists."""
        if self.neighbours is None:
            return np.empty(0, np.int32), np.empty(0, np.float32)
        weights = None
        if interaction_codes is not None and len(history):
            weights = history_weights(self.action_weights, interaction_codes)
        return self.neighbours.scores(
            self.index.origins(history),
            decay=self.config.decay,
            forgotten=forgotten,
            weights=weights,
        )

    def _scored(self, embedding: Scores, rows: Rows, known: Rows, scores: Scores) -> RankedList:
        """Scores of both sources for `rows`; `scores` are the item-kNN scores of rows `known`."""
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
    """The best items of a union, best first; ties keep their order."""
    best = union.take(np.argsort(-union.scores, kind="stable")[:size])
    return replace(best, shortlist_ranks=1 + np.arange(len(best)))

"""The first half of the cascade: history in, shortlist of item rows out, from both sources."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index.config import NeighboursConfig
from index.item_index import ItemIndex
from index.neighbours import Neighbours
from index.stage import WEIGHT
from lineage.manifest import read_manifest
from towers.export import UserTower

Rows = NDArray[np.int32]
Scores = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Recalled:
    """Items and what both sources say of them; all arrays (items,)."""

    rows: Rows
    scores: Scores
    """What a shortlist is ordered by: logits, comparable within one shopper"""
    cosines: Scores
    """Of the shopper's embedding and the items'"""
    neighbour_scores: Scores
    """0 where an item shares no user with the history, or the source is off"""
    by_towers: NDArray[np.bool_]
    """Whether the towers alone would have recalled it"""
    by_neighbours: NDArray[np.bool_]
    """Whether the neighbour lists alone would have"""

    def head(self, order: NDArray[np.int64]) -> "Recalled":
        """Some of the items, in the given order."""
        return Recalled(**{name: values[order] for name, values in vars(self).items()})


class Retriever:
    """User tower, index and neighbour lists."""

    def __init__(
        self,
        user_tower: UserTower,
        index: ItemIndex,
        neighbours: Neighbours | None,
        *,
        temperature: float,
        config: NeighboursConfig,
    ) -> None:
        """Take the parts.

        Args:
            user_tower: Embeds a history.
            index: Over the items' embeddings.
            neighbours: Lists of every item; None where the source is off.
            temperature: Divides cosines, as in the towers' training.
            config: How the sources are merged, at a weight that is known.

        Raises:
            ValueError: the weight is left open.
        """
        self.user_tower, self.index, self.neighbours = user_tower, index, neighbours
        if neighbours is not None and config.weight is None:
            raise ValueError("weight must be that of the index stage, got None")
        self._temperature, self._config = temperature, config
        self._weight = config.weight or 0.0
        self._preference = np.random.default_rng(0).permutation(len(index))  # among equals

    @classmethod
    def load(cls, root: Path) -> "Retriever":
        """Load from a dataset's finished stages."""
        index = read_manifest(root / "index", "index")
        config = NeighboursConfig(**index.config["neighbours"])
        if config.kept:
            config = replace(config, weight=index.facts[WEIGHT])
        return cls(
            UserTower.load(root / "towers"),
            ItemIndex.load(root / "index"),
            Neighbours.load(root / "index") if config.kept else None,
            temperature=read_manifest(root / "towers", "towers").facts["temperature"],
            config=config,
        )

    def embed(self, history: Rows, watch: dict[str, float], *, search: str = "") -> Scores:
        """Embed a shopper as (dimension,) of unit length; books `user_tower`, in ms."""
        started = time.perf_counter()
        user = self.user_tower(history, search)
        watch["user_tower"] = 1e3 * (time.perf_counter() - started)
        return user

    def nearest(self, embedding: Scores, excluded: Rows, size: int) -> tuple[Rows, Scores]:
        """Items nearest to an embedding.

        Args:
            embedding: (dimension,) of unit length.
            excluded: Item rows to leave out.
            size: Items wanted; fewer come back when the index finds fewer.

        Returns:
            Item rows and cosines, both (found,), best first.
        """
        left_out = np.unique(excluded)
        k = min(size + len(left_out), len(self.index))
        cosines, rows = self.index.search(embedding[None], k)
        kept = np.flatnonzero((rows[0] >= 0) & ~np.isin(rows[0], left_out))[:size]
        return rows[0][kept].astype(np.int32), cosines[0][kept]

    def shortlist(
        self, history: Rows, size: int, watch: dict[str, float], *, search: str = ""
    ) -> Recalled:
        """The best items of both sources, history left out, best first; books `index`, in ms.

        Args:
            history: Item rows, oldest first; may be empty where there is a search.
            size: Items wanted of each source, and of both together.
            watch: Where times are booked.
            search: What the shopper is looking for, in words; the neighbour lists, which know
                nothing of it, are then left out.
        """
        user = self.embed(history, watch, search=search)
        started = time.perf_counter()
        by_towers, _ = self.nearest(user, history, size)
        known, scores = self._known(history[:0] if search else history)
        fresh = ~np.isin(known, history)
        by_neighbours = known[fresh][
            np.lexsort((self._preference[known[fresh]], -scores[fresh]))[:size]
        ]
        added = by_neighbours[~np.isin(by_neighbours, by_towers)]
        found = self._judged(user, np.concatenate([by_towers, added]), known, scores)
        order = np.argsort(-found.scores, kind="stable")[:size]
        watch["index"] = 1e3 * (time.perf_counter() - started)
        return Recalled(
            rows=found.rows,
            scores=found.scores,
            cosines=found.cosines,
            neighbour_scores=found.neighbour_scores,
            by_towers=np.isin(found.rows, by_towers),
            by_neighbours=np.isin(found.rows, by_neighbours),
        ).head(order)

    def judge(self, history: Rows, rows: Rows, watch: dict[str, float]) -> Recalled:
        """What both sources say of given items, in the given order; recalled by neither."""
        return self._judged(self.embed(history, watch), rows, *self._known(history))

    def _known(self, history: Rows) -> tuple[Rows, Scores]:
        """Item rows, ascending, that the neighbour lists have a score for, and the scores."""
        if self.neighbours is None:
            return np.empty(0, np.int32), np.empty(0, np.float32)
        return self.neighbours.scores(history, decay=self._config.decay)

    def _judged(self, user: Scores, rows: Rows, known: Rows, scores: Scores) -> Recalled:
        cosines = (self.index.vectors(rows) @ user).astype(np.float32)
        place = np.minimum(np.searchsorted(known, rows), max(len(known) - 1, 0))
        shared = np.zeros(len(rows), np.float32)
        if len(known):
            shared = np.where(known[place] == rows, scores[place], 0).astype(np.float32)
        logits = cosines / self._temperature
        if self.neighbours is not None:
            logits = logits + self._weight * np.log(shared + self._config.floor)
        nowhere = np.zeros(len(rows), bool)
        return Recalled(
            rows=rows,
            scores=logits.astype(np.float32),
            cosines=cosines,
            neighbour_scores=shared,
            by_towers=nowhere,
            by_neighbours=nowhere,
        )

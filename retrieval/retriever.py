"""The first half of the cascade: turns histories into shortlists, recalled by all sources."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from dataset.clock import NEVER, When
from generative.artifact import load_generated
from index.arrays import Rows, Scores
from index.ranked_list import RankedList
from index.recall_sources import RecallSources
from lineage.stages import TOWERS
from retrieval.embedding_cache import EmbeddingCache
from towers.item_encoder import TextEncoder
from towers.user_encoder import UserTower


@dataclass(frozen=True, kw_only=True)
class ResolvedShopper:
    """A shopper's history and wishes, with ids resolved to rows."""

    history: Rows
    """(history,) item rows, oldest first; may be empty where there is a search"""
    interaction_codes: Rows | None = None
    """(history,) interaction codes (`dataset.interaction_codes`); None where unknown"""
    times: NDArray[np.int64] | None = None
    """(history,) Unix seconds of the interactions, not decreasing; None where unknown"""
    now: int | None = None
    """Unix seconds as of which purchases are counted; None where interactions have no times"""
    search: str = ""
    """Search words; with a search, the towers and the words recall items; neighbour lists and best
    sellers do not, because they cannot match words. Neighbour lists of the history order what is
    found"""
    vector: Scores | None = None
    """(dimension,) of unit length, used instead of the user tower's embedding; with a vector, only
    the towers are used"""
    allowed: BitMap | None = None
    """Item rows that may be recalled; None for all"""
    excluded: Rows | None = None
    """Item rows that are not recalled, see `dataset.repeats`; None for those of the history"""

    @property
    def left_out(self) -> Rows:
        """Item rows that are not recalled."""
        return self.history if self.excluded is None else self.excluded

    @property
    def uses_neighbours(self) -> bool:
        """Whether neighbour lists, best sellers and own items recall items for this shopper."""
        return not self.search and self.vector is None

    @property
    def when(self) -> When:
        """Time as of which items sell, and times of the history."""
        return When(self.now, self.times)


@dataclass(frozen=True, kw_only=True)
class Retriever:
    """Embeds shoppers with the user tower and recalls items from both sources."""

    user_tower: UserTower
    texts: TextEncoder
    """Embeds texts of items that the corpus lacks"""
    sources: RecallSources
    cache: EmbeddingCache | None = None
    """Cache of shoppers' embeddings; None computes every embedding"""

    @classmethod
    def load(cls, root: Path) -> "Retriever":
        """Load the towers and the recall sources of a dataset's finished stages.

        A decoder recalls items, too, where there is one and it pays (`generative`).
        """
        user_tower = UserTower.load(root / TOWERS)
        texts = TextEncoder.beside(root / TOWERS, user_tower)
        sources = replace(RecallSources.load(root), generated=load_generated(root))
        return cls(user_tower=user_tower, texts=texts, sources=sources)

    def embed_all(
        self, shoppers: Sequence[ResolvedShopper], stage_times: dict[str, float]
    ) -> Scores:
        """(shoppers, dimension) unit-length embeddings; adds `user_tower` to `stage_times`, ms."""
        users = np.zeros((len(shoppers), self.sources.index.dimension), np.float32)
        for place, shopper in enumerate(shoppers):
            if shopper.vector is not None:
                users[place] = shopper.vector
        unembedded = [place for place, shopper in enumerate(shoppers) if shopper.vector is None]
        if unembedded:
            started = time.perf_counter()
            users[unembedded] = self._cached_or_computed([shoppers[place] for place in unembedded])
            stage_times["user_tower"] = 1e3 * (time.perf_counter() - started)
        return users

    def _cached_or_computed(self, shoppers: Sequence[ResolvedShopper]) -> Scores:
        if self.cache is None:
            return self._compute(shoppers)
        return self.cache(
            [self._key(shopper) for shopper in shoppers],
            lambda places: self._compute([shoppers[place] for place in places]),
        )

    def _key(self, shopper: ResolvedShopper) -> bytes | None:
        """Cache key, a hash of the user tower's input; None where an item is newer than the build.

        A later change of the catalogue may give such an item's row to another item.
        """
        history = shopper.history
        if len(history) and int(history.max()) >= self.sources.index.built:
            return None
        interaction_codes = (
            np.zeros_like(history)
            if shopper.interaction_codes is None
            else shopper.interaction_codes
        )
        digest = blake2b(len(history).to_bytes(8), digest_size=16)
        for part in (history, interaction_codes):
            digest.update(part.astype(np.int32).tobytes())
        digest.update(shopper.search.encode(errors="surrogatepass"))
        return digest.digest()

    def _compute(self, shoppers: Sequence[ResolvedShopper]) -> Scores:
        return self.user_tower.embed_all(
            [shopper.history for shopper in shoppers],
            [
                np.zeros_like(shopper.history)
                if shopper.interaction_codes is None
                else shopper.interaction_codes
                for shopper in shoppers
            ],
            [shopper.search for shopper in shoppers],
        )

    def embed(
        self,
        history: Rows,
        stage_times: dict[str, float],
        *,
        interaction_codes: Rows | None = None,
        search: str = "",
    ) -> Scores:
        """(dimension,) embedding of one shopper."""
        shopper = ResolvedShopper(
            history=history, interaction_codes=interaction_codes, search=search
        )
        user: Scores = self.embed_all([shopper], stage_times)[0]
        return user

    def recall(
        self,
        shoppers: Sequence[ResolvedShopper],
        size: int,
        stage_times: dict[str, float],
        *,
        given: Sequence[Rows | None] | None = None,
    ) -> list[RankedList]:
        """Shortlist of every shopper: the best items of all sources, best first.

        Args:
            shoppers: Shoppers to recommend to.
            size: Items wanted from each source, and from all together.
            stage_times: Receives the times `user_tower` and `index`, ms.
            given: For each shopper, item rows to score instead of the recalled items, or None. They
                keep their order, are marked as recalled by no source, and come with the
                shopper's shortlist.
        """
        users = self.embed_all(shoppers, stage_times)
        started = time.perf_counter()
        lists = self.sources.shortlists(
            users,
            [shopper.history for shopper in shoppers],
            size,
            uses_neighbours=[shopper.uses_neighbours for shopper in shoppers],
            allowed=[shopper.allowed for shopper in shoppers],
            interaction_codes=[shopper.interaction_codes for shopper in shoppers],
            excluded=[shopper.left_out for shopper in shoppers],
            when=[shopper.when for shopper in shoppers],
            searches=[shopper.search for shopper in shoppers],
        )
        for place, judged in enumerate(given or ()):
            if judged is not None:
                scored = self.sources.score_items(
                    users[place],
                    shoppers[place].history,
                    judged,
                    interaction_codes=shoppers[place].interaction_codes,
                    when=shoppers[place].when if shoppers[place].uses_neighbours else NEVER,
                    search=shoppers[place].search,
                )
                lists[place] = _beside(scored, lists[place])
        stage_times["index"] = 1e3 * (time.perf_counter() - started)
        return lists

    def shortlist(
        self,
        history: Rows,
        size: int,
        stage_times: dict[str, float],
        *,
        interaction_codes: Rows | None = None,
        excluded: Rows | None = None,
        when: When = NEVER,
        search: str = "",
    ) -> RankedList:
        """Shortlist of one shopper."""
        shopper = ResolvedShopper(
            history=history,
            interaction_codes=interaction_codes,
            excluded=excluded,
            now=when.now,
            times=when.times,
            search=search,
        )
        return self.recall([shopper], size, stage_times)[0]


def _beside(given: RankedList, shortlist: RankedList) -> RankedList:
    """Given items with their shortlist, and its scores for the items that it has.

    Scores that are computed one by one differ in the last bits, and would move an item's rank.
    """
    if not len(shortlist):
        return replace(given, shortlist=shortlist)
    place = {row: at for at, row in enumerate(shortlist.rows.tolist())}
    places = np.array([place.get(row, -1) for row in given.rows.tolist()], np.int64)
    columns: dict[str, Any] = {
        name: np.where(places >= 0, getattr(shortlist, name)[places], getattr(given, name))
        for name in (
            "scores",
            "cosines",
            "neighbour_scores",
            "sales",
            "own",
            "words",
            "shortlist_scores",
            "generated",
        )
    }
    return replace(given, **columns, shortlist=shortlist)

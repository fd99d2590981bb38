"""The first half of the cascade: histories in, shortlists of item rows out, from both sources."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from pyroaring import BitMap

from index.ranked_list import RankedList, Rows, Scores
from index.recall_sources import RecallSources
from retrieval.embedding_cache import KeptEmbeddings
from towers.item_encoder import TextsReader
from towers.user_encoder import UserTower


@dataclass(frozen=True, kw_only=True)
class ResolvedShopper:
    """What is known of somebody to whom items are recommended."""

    history: Rows
    """Item rows, oldest first; may be empty where there is a search"""
    contexts: Rows | None = None
    """When and how, as codes of `dataset.interaction_codes`; None where nothing is known"""
    search: str = ""
    """What the shopper is looking for, in words; the neighbour lists, which know nothing of it,
    are then left out"""
    vector: Scores | None = None
    """(dimension,) of unit length, in the place of what the user tower would say; as with a search,
    the neighbour lists are left out"""
    allowed: BitMap | None = None
    """Item rows to choose from; None for all"""

    @property
    def listed(self) -> bool:
        """Whether the neighbour lists are asked."""
        return not self.search and self.vector is None


@dataclass(frozen=True, kw_only=True)
class Retriever:
    """The user tower before both sources of recall."""

    user_tower: UserTower
    texts: TextsReader
    """Embeds texts of items that are not there"""
    sources: RecallSources
    kept: KeptEmbeddings | None = None
    """Embeddings that need not be computed again; None computes all"""

    @classmethod
    def load(cls, root: Path) -> "Retriever":
        """Load from a dataset's finished stages."""
        user_tower = UserTower.load(root / "towers")
        texts = TextsReader.beside(root / "towers", user_tower)
        return cls(user_tower=user_tower, texts=texts, sources=RecallSources.load(root))

    def embed_all(self, shoppers: Sequence[ResolvedShopper], watch: dict[str, float]) -> Scores:
        """Embed shoppers as (shoppers, dimension) of unit length; books `user_tower`, in ms."""
        users = np.zeros((len(shoppers), self.sources.index.dimension), np.float32)
        for place, shopper in enumerate(shoppers):
            if shopper.vector is not None:
                users[place] = shopper.vector
        read = [place for place, shopper in enumerate(shoppers) if shopper.vector is None]
        if read:
            started = time.perf_counter()
            users[read] = self._known_or_read([shoppers[place] for place in read])
            watch["user_tower"] = 1e3 * (time.perf_counter() - started)
        return users

    def _known_or_read(self, shoppers: Sequence[ResolvedShopper]) -> Scores:
        if self.kept is None:
            return self._read(shoppers)
        return self.kept(
            [self._key(shopper) for shopper in shoppers],
            lambda places: self._read([shoppers[place] for place in places]),
        )

    def _key(self, shopper: ResolvedShopper) -> bytes | None:
        """All that an embedding hangs on; None where an item came after the release was built.

        Such an item's row may be another's after a change.
        """
        history = shopper.history
        if len(history) and int(history.max()) >= self.sources.index.built:
            return None
        contexts = np.zeros_like(history) if shopper.contexts is None else shopper.contexts
        digest = blake2b(len(history).to_bytes(8), digest_size=16)
        for part in (history, contexts):
            digest.update(part.astype(np.int32).tobytes())
        digest.update(shopper.search.encode(errors="surrogatepass"))
        return digest.digest()

    def _read(self, shoppers: Sequence[ResolvedShopper]) -> Scores:
        return self.user_tower.embed_all(
            [shopper.history for shopper in shoppers],
            [
                np.zeros_like(shopper.history) if shopper.contexts is None else shopper.contexts
                for shopper in shoppers
            ],
            [shopper.search for shopper in shoppers],
        )

    def embed(
        self,
        history: Rows,
        watch: dict[str, float],
        *,
        contexts: Rows | None = None,
        search: str = "",
    ) -> Scores:
        """Embed one shopper as (dimension,)."""
        shopper = ResolvedShopper(history=history, contexts=contexts, search=search)
        user: Scores = self.embed_all([shopper], watch)[0]
        return user

    def recall(
        self,
        shoppers: Sequence[ResolvedShopper],
        size: int,
        watch: dict[str, float],
        *,
        given: Sequence[Rows | None] | None = None,
    ) -> list[RankedList]:
        """The best items of both sources for each, history left out, best first.

        Args:
            shoppers: Whom to recommend to.
            size: Items wanted of each source, and of both together.
            watch: Where times are booked: `user_tower` and `index`, in ms.
            given: Of each shopper, items to be judged in the place of what is recalled: they come
                back in the given order, recalled by neither. None where nothing is given.
        """
        users = self.embed_all(shoppers, watch)
        started = time.perf_counter()
        rows = [None for _ in shoppers] if given is None else given
        free = [place for place, judged in enumerate(rows) if judged is None]
        recalled = self.sources.shortlists(
            users[free],
            [shoppers[place].history for place in free],
            size,
            listed=[shoppers[place].listed for place in free],
            allowed=[shoppers[place].allowed for place in free],
        )
        found = dict(zip(free, recalled, strict=True))
        for place, judged in enumerate(rows):
            if judged is not None:
                found[place] = self.sources.judge(users[place], shoppers[place].history, judged)
        watch["index"] = 1e3 * (time.perf_counter() - started)
        return [found[place] for place in range(len(shoppers))]

    def shortlist(
        self,
        history: Rows,
        size: int,
        watch: dict[str, float],
        *,
        contexts: Rows | None = None,
    ) -> RankedList:
        """What is recalled for one shopper."""
        return self.recall([ResolvedShopper(history=history, contexts=contexts)], size, watch)[0]

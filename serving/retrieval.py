"""The first half of the cascade: history in, shortlist of item rows out, from both sources."""

import time
from dataclasses import dataclass
from pathlib import Path

from pyroaring import BitMap

from index.live import LiveIndex
from index.sources import Recalled, Rows, Scores, Sources
from towers.export import UserTower


@dataclass(frozen=True, kw_only=True)
class Retriever:
    """The user tower before both sources of recall."""

    user_tower: UserTower
    sources: Sources

    @classmethod
    def load(cls, root: Path) -> "Retriever":
        """Load from a dataset's finished stages."""
        return cls(user_tower=UserTower.load(root / "towers"), sources=Sources.load(root))

    def over(self, index: LiveIndex) -> "Retriever":
        """The same over the index after some changes."""
        return Retriever(
            user_tower=self.user_tower.over(index.added), sources=self.sources.over(index)
        )

    def embed(
        self,
        history: Rows,
        watch: dict[str, float],
        *,
        contexts: Rows | None = None,
        search: str = "",
    ) -> Scores:
        """Embed a shopper as (dimension,) of unit length; books `user_tower`, in ms."""
        started = time.perf_counter()
        user = self.user_tower(history, contexts, search)
        watch["user_tower"] = 1e3 * (time.perf_counter() - started)
        return user

    def shortlist(
        self,
        history: Rows,
        size: int,
        watch: dict[str, float],
        *,
        contexts: Rows | None = None,
        search: str = "",
        allowed: BitMap | None = None,
    ) -> Recalled:
        """The best items of both sources, history left out, best first; books `index`, in ms.

        Args:
            history: Item rows, oldest first; may be empty where there is a search.
            size: Items wanted of each source, and of both together.
            watch: Where times are booked.
            contexts: When and how, as codes of `dataset.context`; None where nothing is known.
            search: What the shopper is looking for, in words; the neighbour lists, which know
                nothing of it, are then left out.
            allowed: Item rows to choose from; None for all.
        """
        user = self.embed(history, watch, contexts=contexts, search=search)
        started = time.perf_counter()
        found = self.sources.shortlist(user, history, size, listed=not search, allowed=allowed)
        watch["index"] = 1e3 * (time.perf_counter() - started)
        return found

    def judge(
        self,
        history: Rows,
        rows: Rows,
        watch: dict[str, float],
        *,
        contexts: Rows | None = None,
    ) -> Recalled:
        """What both sources say of given items, in the given order; recalled by neither."""
        return self.sources.judge(self.embed(history, watch, contexts=contexts), history, rows)

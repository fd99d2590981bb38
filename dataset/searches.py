"""What shoppers searched for before their interactions, and how well the items fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

NO_SEARCH = -1
TEXTS, PLACES, RELEVANCE = "searches", "search_of", "relevance"
"""Names of the files"""


@dataclass(frozen=True, kw_only=True)
class Searches:
    """The search and the relevance of every interaction of a dataset."""

    texts: Sequence[str]
    """Distinct searches."""
    of: NDArray[np.int32]
    """(interactions,) place of the search in `texts`; -1 for none."""
    relevance: NDArray[np.float32]
    """(interactions,) how well the item fits, above 0; the gain of a hit in NDCG. 1 if the data do
    not say."""

    @property
    def any(self) -> bool:
        """Whether some interaction follows a search."""
        return len(self.texts) > 0

    @property
    def graded(self) -> bool:
        """Whether relevances differ."""
        return bool((self.relevance != self.relevance[:1]).any())

    def text(self, place: int) -> str:
        """Words of a search by its place; empty for -1."""
        return "" if place == NO_SEARCH else self.texts[place]

    def take(self, kept: NDArray[np.bool_] | NDArray[np.int64]) -> "Searches":
        """Those of some interactions."""
        return Searches(
            texts=self.texts,
            of=np.asarray(self.of)[kept],
            relevance=np.asarray(self.relevance)[kept],
        )

    def extended(self, count: int) -> "Searches":
        """With further interactions without a search at the end."""
        return Searches(
            texts=self.texts,
            of=np.append(self.of, np.full(count, NO_SEARCH, np.int32)),
            relevance=np.append(self.relevance, np.ones(count, np.float32)),
        )

    def save(self, folder: Path) -> None:
        """Write the places and the relevances; `dataset.arrays` writes the texts."""
        np.save(folder / f"{PLACES}.npy", self.of)
        np.save(folder / f"{RELEVANCE}.npy", self.relevance)


def are_saved(folder: Path) -> bool:
    """Whether a data stage has searches."""
    return (folder / f"{PLACES}.npy").is_file()

"""Tables of a release from which the values of a shopper's next item are predicted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dataset.arrays import Dataset
from dataset.demand import Demand
from dataset.interaction_codes import DAY
from profiles.attribute_values import AttributeValues, Bought
from profiles.blend import NOTHING, Learnt, plain
from profiles.evidence import (
    Evidence,
    Items,
    Popularity,
    evidence,
    history_weights,
    shortlist_weights,
)
from profiles.following import following
from profiles.load_values import load_values
from profiles.title_words import TitleWords

LATE = 28
"""Days whose purchases are those of late"""
Rows = NDArray[np.int32]
Added = Callable[[AttributeValues, int], list[int]]
"""Returns the values of an item that the release lacks, by its row"""


@dataclass(frozen=True, kw_only=True)
class Shopped:
    """What is known of one shopper."""

    history: Rows
    """(history,) item rows, oldest first"""
    actions: NDArray[np.floating]
    """(history,) weights of the actions, positive"""
    excluded: Rows
    """Item rows that cannot come next"""
    shortlist: Rows
    """Item rows that recall found"""
    scores: NDArray[np.floating]
    """(shortlist,) their logits"""
    now: int | None
    """Unix seconds; None where interactions have no times"""


@dataclass(frozen=True, kw_only=True)
class ProfileTables:
    """Attributes, words of titles and popularity of items.

    Frozen, but remembers the popularity of late as of the day asked last.
    """

    words: TitleWords
    attributes: Sequence[AttributeValues]
    purchases: NDArray[np.float64]
    """(items,) learnt popularity"""
    demand: Demand | None
    """Purchases by time; None where interactions have no times"""
    learnt: Learnt = NOTHING
    """What is learnt of the attributes; others have smoothed shares"""
    _late: dict[int, list[NDArray[np.float64]]] = field(default_factory=dict, repr=False)

    @classmethod
    def load(
        cls,
        folder: Path,
        data: Dataset,
        demand: Demand | None,
        learnt: Learnt = NOTHING,
    ) -> "ProfileTables":
        """Read the attributes and count the words of titles.

        Args:
            folder: Folder of the data stage.
            data: What the release has learnt of it.
            demand: Purchases by time; None where interactions have no times.
            learnt: What is learnt of the attributes, if anything is.
        """
        words = TitleWords.of(data.titles)
        return cls(
            words=words,
            attributes=load_values(folder, data.titles, words),
            purchases=np.asarray(data.popularity),
            demand=demand,
            learnt=learnt,
        )

    def with_demand(self, demand: Demand) -> "ProfileTables":
        """The tables with other purchases by time."""
        return replace(self, demand=demand, _late={})

    def evidence(self, place: int, shopped: Shopped, added: Added | None = None) -> Evidence:
        """Evidence for the values of the attribute at a place, see `profiles.evidence`."""
        attribute = self.attributes[place]

        def items(rows: Rows, weights: NDArray[np.float64]) -> Items:
            new = None if added is None else (lambda row: added(attribute, row))
            places, numbers = attribute.of_rows(rows, new)
            return Items(places=places, numbers=numbers, weights=weights)

        history = items(shopped.history, history_weights(shopped.actions))
        coefficients, after = self.learnt.following.get(attribute.name), None
        if coefficients is not None:
            after = following(coefficients, history.places, history.numbers, shopped.actions)
        return evidence(
            history,
            items(shopped.shortlist, shortlist_weights(shopped.scores)),
            self._popularity(place, shopped.excluded, shopped.now),
            after,
            several=attribute.several,
        )

    def probabilities(self, place: int, found: Evidence) -> tuple[NDArray[np.float64], bool]:
        """(candidates,) probabilities of an attribute's values, and whether they are learnt."""
        attribute = self.attributes[place]
        blend = self.learnt.blends.get(attribute.name)
        if blend is None or blend.several != attribute.several:
            return plain(found), False
        return blend(found), True

    @cached_property
    def _always(self) -> list[NDArray[np.float64]]:
        """Popularity of each attribute's values."""
        return [attribute.popularity(self.purchases) for attribute in self.attributes]

    @cached_property
    def _bought(self) -> list[Bought]:
        """Purchases of each attribute's values."""
        rows = np.arange(len(self.purchases))
        return [attribute.bought(rows, self.purchases) for attribute in self.attributes]

    def telling_value(
        self, rows: Rows, weights: NDArray[np.float64], added: Added | None = None
    ) -> str | None:
        """The keyword or band that tells some items from the rest; None without attributes.

        It is of the first attribute, and weighs like a word of `TitleWords.telling`.

        Args:
            rows: Item rows.
            weights: (items,) positive weights of the items.
            added: Returns the values of an item that the release lacks.
        """
        if not self.attributes:
            return None
        attribute, usual = self.attributes[0], self._always[0]
        new = None if added is None else (lambda row: added(attribute, row))
        places, numbers = attribute.of_rows(rows, new)
        if not len(numbers):
            return None
        shares = np.bincount(numbers, weights[places], minlength=len(usual)) / weights.sum()
        worth = shares * np.log(np.maximum(shares, 1e-9) / usual)
        return attribute.values[int(np.argmax(worth))]

    def _popularity(self, place: int, excluded: Rows, now: int | None) -> Popularity:
        always, attribute = self._always[place], self.attributes[place]
        return Popularity(
            always=always,
            of_late=always if self.demand is None or now is None else self._of_late(now)[place],
            left=attribute.left(self.purchases, self._bought[place], excluded),
        )

    def _of_late(self, now: int) -> list[NDArray[np.float64]]:
        """Popularity of each attribute's values in the days before the day of a time."""
        assert self.demand is not None
        day = now - now % DAY
        if day not in self._late:
            rows = np.arange(len(self.purchases))
            sold = self.demand.between(rows, day - LATE * DAY, day).astype(np.float64)
            self._late.clear()
            self._late[day] = [
                attribute.popularity(sold, among=always)
                for attribute, always in zip(self.attributes, self._always, strict=True)
            ]
        return self._late[day]

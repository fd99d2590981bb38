"""Ways to merge the recall sources: what may be chosen, what was, and how manifests tell it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from index.config import IndexConfig
from index.recall_sources import (
    HALF_LIFE,
    OWN_WEIGHT,
    SALES_WEIGHT,
    SALES_WINDOW,
    WEIGHT,
    RecallSources,
)
from index.sales import WINDOW

WEIGHTS = (0.0, 0.125, 0.25, 0.5, 1.0, 2.0)
SALES_WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
OWN_WEIGHTS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
WINDOWS = (7, 14, 28)
"""Days before now whose purchases may make a best seller"""
HALF_LIVES = (0.0, 7.0, 30.0, 90.0, 365.0, 3650.0)
"""Days in which a history may halve; 0 is decay by place, the last hardly any decay"""
UNDECIDED = 1.0
"""Weight where no user can decide: suits the head of a list, as no ranker is trained then"""
UNDECIDED_NOTE = (
    "no user's next item can be predicted in the validation split, so the neighbour lists weigh "
    f"{UNDECIDED} (neighbours.weight)"
)
FIELDS = {
    "weight": "weight",
    "half-life": "half_life",
    "weight of best sellers": "sales_weight",
    "window of best sellers": "window",
    "weight of own items": "own_weight",
}
"""Fields of a merge by the words of a manifest"""


@dataclass(frozen=True, order=True)
class Merge:
    """One way to merge the sources; simpler ways are smaller."""

    half_life: float = 0.0
    """Days in which a history halves; 0 is decay by place"""
    sales_weight: float = 0.0
    """Weight of the best sellers"""
    weight: float = 0.0
    """Weight of the neighbour lists"""
    window: int = WINDOW
    """Days whose purchases make a best seller"""
    own_weight: float | None = None
    """Weight of what the shopper had before; None where nothing may come back"""

    @property
    def facts(self) -> dict[str, Any]:
        """Facts of an index stage that tell `RecallSources.load` how the sources are merged."""
        return {
            HALF_LIFE: self.half_life,
            SALES_WEIGHT: self.sales_weight,
            WEIGHT: self.weight,
            SALES_WINDOW: self.window,
            OWN_WEIGHT: self.own_weight,
        }

    def of(self, sources: RecallSources) -> RecallSources:
        """The sources, merged in this way."""
        config = replace(sources.config, weight=self.weight, half_life=self.half_life)
        merged = replace(sources, config=config, own_weight=self.own_weight)
        if sources.sales is None:
            return merged
        sales = sources.sales.with_window(self.window)
        return replace(merged, sales=sales, sales_weight=self.sales_weight)


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Values to choose from."""

    weights: Sequence[float] = WEIGHTS
    sales_weights: Sequence[float] = (0.0,)
    windows: Sequence[int] = (WINDOW,)
    half_lives: Sequence[float] = (0.0,)
    own_weights: Sequence[float | None] = (None,)

    @classmethod
    def of(cls, config: IndexConfig, *, timed: bool, returning: bool) -> "Choices":
        """What the options leave open.

        Args:
            config: Options of the stage.
            timed: Whether interactions have times; else neither best sellers nor decay by time.
            returning: Whether items of a history may come back; else none of them is recalled.
        """
        neighbours, best_sellers = config.neighbours, config.best_sellers
        weights = _given_or(neighbours.weight, WEIGHTS)
        chosen = cls(
            weights=weights if neighbours.kept else (0.0,),
            own_weights=_given_or(config.own_items.weight, OWN_WEIGHTS) if returning else (None,),
        )
        if not timed:
            return chosen
        return replace(
            chosen,
            sales_weights=_given_or(best_sellers.weight, SALES_WEIGHTS),
            windows=_given_or(best_sellers.window, WINDOWS),
            half_lives=_given_or(neighbours.half_life, HALF_LIVES) if neighbours.kept else (0.0,),
        )

    def __len__(self) -> int:
        by_place = len(self.of_sales) + len(self.of_half_lives(self.first)) - len(self.weights)
        return by_place + len(self.own_weights) - 1

    @property
    def first(self) -> Merge:
        """The merge where nothing can be decided."""
        return Merge(
            half_life=self.half_lives[0],
            sales_weight=self.sales_weights[0],
            weight=UNDECIDED if len(self.weights) > 1 else self.weights[0],
            window=self.windows[0],
            own_weight=self.own_weights[0],
        )

    @property
    def of_sales(self) -> list[Merge]:
        """Every window and weight, with the first half-life."""
        return [
            replace(self.first, sales_weight=sales_weight, weight=weight, window=window)
            for window in self.windows
            for sales_weight in self.sales_weights
            for weight in self.weights
            if sales_weight > 0 or window == self.windows[0]
        ]

    def of_half_lives(self, merge: Merge) -> list[Merge]:
        """Every half-life and weight of the neighbour lists, otherwise like a merge."""
        return [
            replace(merge, half_life=half_life, weight=weight)
            for half_life in self.half_lives
            for weight in self.weights
        ]

    def of_own(self, merge: Merge) -> list[Merge]:
        """Every weight of what the shopper had before, otherwise like a merge."""
        return [replace(merge, own_weight=own_weight) for own_weight in self.own_weights]


def chosen(config: IndexConfig, facts: Mapping[str, Any]) -> Merge:
    """The merge of the options; what they leave open is as in the trial's facts."""
    neighbours, best_sellers, own = config.neighbours, config.best_sellers, facts[OWN_WEIGHT]
    return Merge(
        half_life=_given(neighbours.half_life, facts[HALF_LIFE]),
        sales_weight=_given(best_sellers.weight, facts[SALES_WEIGHT]),
        weight=_given(neighbours.weight, facts[WEIGHT]),
        window=int(_given(best_sellers.window, facts[SALES_WINDOW])),
        own_weight=None if own is None else _given(config.own_items.weight, own),
    )


def recall_facts(merge: Merge, recalls: Mapping[Merge, float]) -> dict[str, Any]:
    """Recall of the merges that differ from the chosen one in one value, for the manifest."""
    facts = {}
    for name, field in FIELDS.items():
        along = {
            getattr(other, field): round(recall, 4)
            for other, recall in recalls.items()
            if replace(other, **{field: getattr(merge, field)}) == merge
        }
        if len(along) > 1:
            facts[f"recall by {name}"] = {str(value): along[value] for value in sorted(along)}
    return facts


def _given(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _given_or(given: Any, choices: Sequence[Any]) -> Sequence[Any]:
    return choices if given is None else (given,)

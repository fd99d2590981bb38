"""Describes a shopper: interests, likely values of the next item's attributes, one sentence."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from index.ranked_list import RankedList
from profiles.attribute_values import AttributeValues
from profiles.interests import NEWEST, Group, grouped, recency
from profiles.sentence import Said, sentence
from profiles.tables import Shopped
from retrieval.retriever import ResolvedShopper
from serving.engine.cascade import Cascade
from shortlist_client.api.profile import (
    Interest,
    Preference,
    PreferredValue,
    Profile,
    TypicalItem,
)

VALUES = 5
"""Values shown of an attribute"""
WORDS, NAMING = 3, 2
"""Words of an interest, and those of them that name it in the sentence"""
LIKELY = 2
"""Likely values in the sentence"""


@dataclass(frozen=True, kw_only=True)
class Profiler:
    """Describes shoppers from one cascade."""

    cascade: Cascade

    def __call__(self, shopper: ResolvedShopper, shortlist: RankedList) -> Profile:
        """The profile of a shopper.

        Args:
            shopper: The shopper, without a search or a vector.
            shortlist: What recall found, by logits; for a shopper without a history, best sellers,
                which say no more than their popularity.
        """
        actions = self._actions(shopper)
        known = len(shopper.history) > 0
        shopped = Shopped(
            history=shopper.history,
            actions=actions,
            excluded=shopper.left_out,
            shortlist=shortlist.rows[: len(shortlist) if known else 0],
            scores=shortlist.shortlist_scores[: len(shortlist) if known else 0],
            now=shopper.now,
        )
        weights = actions * recency(len(shopper.history))
        interests = self._interests(shopper, weights)
        preferences = [
            self._preference(place, shopped, weights)
            for place in range(len(self.cascade.profiles.attributes))
        ]
        return Profile(
            sentence=_sentence(interests, preferences),
            interests=interests,
            preferences=preferences,
            history_length=len(shopper.history),
        )

    def _actions(self, shopper: ResolvedShopper) -> NDArray[np.float64]:
        """(history,) weights of the actions."""
        weights = self.cascade.retriever.sources.weights_of(shopper.interaction_codes)
        if weights is None:
            return np.ones(len(shopper.history))
        return weights.astype(np.float64)

    def _interests(self, shopper: ResolvedShopper, weights: NDArray[np.float64]) -> list[Interest]:
        newest_first = shopper.history[::-1]
        rows, newest, of_row = np.unique(newest_first, return_index=True, return_inverse=True)
        of_item = np.bincount(of_row, weights[::-1], minlength=len(rows)).astype(np.float64)
        chosen = np.argsort(newest)[:NEWEST]
        rows, ages, of_item = rows[chosen], newest[chosen], of_item[chosen]
        vectors = self.cascade.retriever.sources.index.vectors(rows.astype(np.int32))
        return [
            self._interest(group, rows, ages, of_item, shopper.times)
            for group in grouped(vectors, of_item)
        ]

    def _interest(
        self,
        group: Group,
        rows: NDArray[np.integer],
        ages: NDArray[np.int64],
        weights: NDArray[np.float64],
        times: NDArray[np.int64] | None,
    ) -> Interest:
        catalogue, members = self.cascade.catalogue, group.members
        titles = [catalogue.title(row) for row in rows[members].tolist()]
        tables, age = self.cascade.profiles, int(ages[members].min())
        words = tables.words.telling(titles, weights[members], WORDS)
        if not words:
            value = tables.telling_value(
                rows[members].astype(np.int32), weights[members], self.added
            )
            words = () if value is None else (value,)
        return Interest(
            weight=group.weight,
            newest_time=None if times is None else int(times[-1 - age]),
            age=age,
            size=len(members),
            words=words,
            typical_items=[
                TypicalItem(item_id=catalogue.item_id(row), title=catalogue.title(row))
                for row in rows[group.typical].tolist()
            ],
        )

    def _preference(self, place: int, shopped: Shopped, weights: NDArray[np.float64]) -> Preference:
        tables = self.cascade.profiles
        attribute = tables.attributes[place]
        found = tables.evidence(place, shopped, self.added)
        probabilities, learnt = tables.probabilities(place, found)
        best = np.argsort(-probabilities, kind="stable")[:VALUES]
        shares = self._shares(attribute, shopped, weights)
        return Preference(
            attribute=attribute.name,
            values=[
                _value(attribute, number, probability, float(shares[number]))
                for number, probability in zip(
                    found.numbers[best].tolist(), probabilities[best].tolist(), strict=True
                )
            ],
            learnt=learnt,
            several=attribute.several,
        )

    def _shares(
        self, attribute: AttributeValues, shopped: Shopped, weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """(values,): share of the history with each value, among items that have any."""
        places, numbers = attribute.of_rows(shopped.history, lambda row: self.added(attribute, row))
        having = float(weights[np.unique(places)].sum())
        counted = np.bincount(numbers, weights[places], minlength=len(attribute.values))
        return counted / having if having else counted.astype(np.float64)

    def added(self, attribute: AttributeValues, row: int) -> list[int]:
        """Numbers of the values of an item that was added or changed."""
        attributes = self.cascade.attributes
        values = attributes.added[row - attributes.items].get(attribute.name, ())
        return attribute.of_item(self.cascade.catalogue.title(row), values)


def _value(
    attribute: AttributeValues, number: int, probability: float, share: float
) -> PreferredValue:
    at_least, below = (None, None) if attribute.bands is None else attribute.bands.limits(number)
    return PreferredValue(
        value=attribute.values[number],
        probability=probability,
        share=share,
        at_least=at_least,
        below=below,
    )


def _sentence(interests: Sequence[Interest], preferences: Sequence[Preference]) -> str:
    named = [Said(name=_name(interest), share=interest.weight) for interest in interests]
    latest = min(interests, key=lambda interest: interest.age, default=None)
    lately = None if latest is None or latest is interests[0] else _name(latest)
    bands = [one for one in preferences if _is_banded(one)]
    keywords = [one for one in preferences if not _is_banded(one)]
    return sentence(
        named,
        lately,
        [f"{one.attribute} {one.values[0].value}" for one in bands],
        [
            Said(name=value.value, share=value.probability)
            for one in keywords[:1]
            for value in one.values[:LIKELY]
        ],
    )


def _name(interest: Interest) -> str:
    """Its first words, or the title in its middle."""
    return " ".join(interest.words[:NAMING]) or interest.typical_items[0].title


def _is_banded(preference: Preference) -> bool:
    return any(one.at_least is not None or one.below is not None for one in preference.values)

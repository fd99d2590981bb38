"""The texts that a backbone is pre-trained on, and which of them were bought after one another."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dataset.arrays import TRAIN, VALID, Dataset

MOST_KNOWN = 20_000_000
"""Purchases above which known partners are no longer looked up: in so large a shop, two random
pairs seldom have one in common"""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Distinct texts, and the purchases of the training split as numbers of texts."""

    texts: Sequence[str]
    purchases: NDArray[np.int32]
    """(purchases,) number of each one's text, by shopper, oldest first."""
    offsets: NDArray[np.int64]
    """(shoppers + 1,): shopper s owns `purchases[offsets[s]:offsets[s + 1]]`."""
    window: int
    """Purchases after one that may be its partner."""

    @classmethod
    def of_texts(cls, texts: Sequence[str]) -> "Source":
        """Texts without purchases; empty ones are left out.

        Raises:
            ValueError: no text is left.
        """
        distinct = list(dict.fromkeys(text for text in texts if text))
        _require(distinct)
        nothing = np.empty(0, np.int32)
        return cls(texts=distinct, purchases=nothing, offsets=np.zeros(1, np.int64), window=1)

    @classmethod
    def of_shop(
        cls,
        data: Dataset,
        *,
        window: int,
        left_out: NDArray[np.int64] | None = None,
        searches: bool = False,
    ) -> "Source":
        """Texts of a shop's items, and what stands of the purchases of its training split.

        A basket without a user is one more shopper.

        Args:
            data: The dataset.
            window: Purchases after one that may be its partner.
            left_out: Items whose texts are not read, such as those that a benchmark holds out; the
                training split must have no purchase of them.
            searches: Whether the searches of the training split are texts, too.

        Raises:
            ValueError: no text is left.
        """
        everything = list(data.texts)
        unread = set() if left_out is None else set(left_out.tolist())
        numbers: dict[str, int] = {}
        of_item = np.full(len(everything), -1, np.int32)
        for row, text in enumerate(everything):
            if text and row not in unread:
                of_item[row] = numbers.setdefault(text, len(numbers))
        _require(numbers)
        stands = data.standing(np.asarray(data.splits) == TRAIN)
        offsets = np.searchsorted(data.user_of[stands], np.arange(data.users + 1))
        offsets, items = data.purchases_without_user.after_users(
            offsets, np.asarray(data.items)[stands], kept=data.bought_without_user(VALID)
        )
        bought = of_item[items]
        kept = np.concatenate([[0], np.cumsum(bought >= 0)]).astype(np.int64)
        searched = _searches(data) if searches else []
        return cls(
            texts=list(dict.fromkeys((*numbers, *searched))),
            purchases=bought[bought >= 0],
            offsets=kept[offsets],
            window=window,
        )

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """(purchases,): end of each one's shopper."""
        return np.repeat(self.offsets[1:], np.diff(self.offsets))

    @cached_property
    def known(self) -> NDArray[np.int64]:
        """Every pair of partners in both orders, as ascending numbers: first × texts + second."""
        size = len(self.purchases)
        if size > MOST_KNOWN:
            return np.empty(0, np.int64)
        found = [np.empty(0, np.int64)]
        for step in range(1, self.window + 1):
            places = np.flatnonzero(np.arange(size) + step < self.ends)
            first, second = self.purchases[places], self.purchases[places + step]
            found += [self.pair(first, second), self.pair(second, first)]
        return np.unique(np.concatenate(found))

    def pair(self, first: NDArray[np.int32], second: NDArray[np.int32]) -> NDArray[np.int64]:
        """Numbers of pairs of texts."""
        return first.astype(np.int64) * len(self.texts) + second

    def related(self, first: NDArray[np.int32], second: NDArray[np.int32]) -> NDArray[np.bool_]:
        """(pairs, pairs): which second texts are no negatives of the first ones.

        They are partners in some history of the training split, or the same text.

        Args:
            first: (pairs,) numbers of the first texts.
            second: (pairs,) numbers of the second texts.
        """
        same: NDArray[np.bool_] = first[:, None] == second[None]
        wanted = self.pair(first[:, None], second[None])
        own = np.unique(self.pair(first, second))
        return same | _among(wanted, self.known) | _among(wanted, own)

    def divided(self, held_out: float, seed: int) -> tuple["Examples", "Examples"]:
        """What is learnt, and what stops the training: other shoppers, or else other texts.

        Args:
            held_out: Share of the shoppers with a pair, or of the texts.
            seed: Seed of the draw.
        """
        rng = np.random.default_rng(seed)
        places = np.flatnonzero(np.arange(len(self.purchases)) + 1 < self.ends)
        shoppers = np.searchsorted(self.offsets, places, side="right") - 1
        held = _drawn(np.unique(shoppers), held_out, rng)
        stops = np.isin(shoppers, held)
        paired = np.zeros(len(self.texts), bool)
        for step in (0, 1):
            paired[self.purchases[places + step]] = True
        alone = np.flatnonzero(~paired)
        checked = alone[:0] if len(places) else np.sort(_drawn(alone, held_out, rng))
        learnt = np.setdiff1d(alone, checked)
        return (
            Examples(source=self, places=places[~stops], alone=learnt),
            Examples(source=self, places=places[stops], alone=checked),
        )


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Pairs of texts: a purchase with a later one, and texts without partner with themselves."""

    source: Source
    places: NDArray[np.int64]
    """Purchases that have a later one."""
    alone: NDArray[np.int64]
    """Numbers of the texts without partner, whose pairs come last."""

    def __len__(self) -> int:
        return len(self.places) + len(self.alone)

    def drawn(
        self, chosen: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """First and second texts of some pairs; a partner is drawn from the window."""
        source = self.source
        places = self.places[chosen[chosen < len(self.places)]]
        steps = np.minimum(source.window, source.ends[places] - 1 - places)
        partners = places + 1 + rng.integers(steps)
        alone = self.alone[chosen[chosen >= len(self.places)] - len(self.places)].astype(np.int32)
        return (
            np.concatenate([source.purchases[places], alone]),
            np.concatenate([source.purchases[partners], alone]),
        )


def _searches(data: Dataset) -> list[str]:
    """Distinct searches of the training split."""
    if data.searches is None:
        return []
    places = np.unique(np.asarray(data.searches.of)[np.asarray(data.splits) == TRAIN])
    return [text for place in places.tolist() if (text := data.searches.text(place))]


def _drawn(among: NDArray[np.int64], share: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """A random share of some numbers: at least one, but never all."""
    size = min(max(1, round(share * len(among))), max(len(among) - 1, 0)) if share else 0
    return rng.permutation(among)[:size]


def _among(wanted: NDArray[np.int64], ascending: NDArray[np.int64]) -> NDArray[np.bool_]:
    if not len(ascending):
        return np.zeros(wanted.shape, bool)
    places = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    found: NDArray[np.bool_] = ascending[places] == wanted
    return found


def _require(texts: Sequence[str] | dict[str, int]) -> None:
    if len(texts) < 2:
        raise ValueError(
            f"pre-training must have at least 2 different texts to tell apart, got {len(texts)}; "
            "name the columns of the text"
        )

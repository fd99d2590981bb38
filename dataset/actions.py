"""What actions mean: how much each counts, and which take away what came before."""

import math
import re
import unicodedata
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset.foreign_actions import FOREIGN

ALL = -math.inf
"""Weight of an action that takes away all earlier interactions with the item"""
WEIGHTS: Mapping[str, float] = {
    **FOREIGN,
    **dict.fromkeys(("impression", "impressions", "exposure"), 0.0),
    **dict.fromkeys(("view", "click", "detail_view", "page_view", "product_view"), 1.0),
    **dict.fromkeys(("view_item", "visit", "open", "pv"), 1.0),
    **dict.fromkeys(("cart", "add_to_cart", "addtocart", "wishlist", "add_to_wishlist"), 3.0),
    **dict.fromkeys(("favorite", "favourite", "fav", "like", "save", "bookmark"), 3.0),
    **dict.fromkeys(("checkout", "begin_checkout"), 5.0),
    **dict.fromkeys(("purchase", "buy", "order", "transaction", "sale"), 8.0),
    **dict.fromkeys(("purchased", "bought", "ordered", "sold"), 8.0),
    **dict.fromkeys(("remove_from_cart", "removefromcart", "remove_from_wishlist"), -3.0),
    **dict.fromkeys(("refund", "refunded", "return", "returned"), -8.0),
    **dict.fromkeys(("cancel", "cancelled", "canceled", "cancellation"), -8.0),
    **dict.fromkeys(("hide", "dislike", "not_interested", "block"), ALL),
}
"""Weights of common actions, by folded name"""
PLAIN = 1.0
"""Weight of an action that has none, and of interactions without action"""
STRONG = 0.5
"""Least weight of an action that counts as a purchase, relative to the strongest"""
ROUNDING = 1e-6
"""Difference of weights that is only rounding"""


def fold_action(name: str) -> str:
    """An action's name without differences of case, blanks, hyphens and underscores.

    The plural of a common action is that action.
    """
    folded = re.sub(r"[\s_-]+", "_", unicodedata.normalize("NFC", name).strip().lower())
    singular = folded.removesuffix("s")
    return singular if folded not in WEIGHTS and singular in WEIGHTS else folded


def check_weights(given: Mapping[str, float]) -> None:
    """Refuse weights of a configuration that break a rule.

    Raises:
        ValueError: two names are the same once they are folded, or a weight is not below infinity.
    """
    folded = [fold_action(name) for name in given]
    if len(set(folded)) < len(folded) or "" in folded:
        raise ValueError(f"actions must have distinct names, got {list(given)}")
    for name, weight in given.items():
        if not weight < math.inf:
            raise ValueError(f"actions must have weights below .inf, got {name}: {weight}")


def raw_weights(given: Mapping[str, float]) -> dict[str, float]:
    """Weight by folded name: those of common actions, overridden by the given ones."""
    return {**WEIGHTS, **{fold_action(name): weight for name, weight in given.items()}}


def without_weight(names: Collection[str], given: Mapping[str, float]) -> list[str]:
    """Folded names that neither the common actions nor the given ones hold, sorted."""
    return sorted({name for name in names if name} - raw_weights(given).keys())


def relative_weights(names: Collection[str], given: Mapping[str, float]) -> dict[str, float]:
    """Weights relative to the largest weight of the data, so that their scale does not matter.

    Args:
        names: Folded names of the data's actions; "" for interactions without action.
        given: Weights of the configuration.

    Returns:
        Weight of every known name and of "". The largest of the data's names is 1, so a log of one
        action has weights of 1. Only names that are not among them may have more.
    """
    raw = {"": PLAIN, **dict.fromkeys(names, PLAIN), **raw_weights(given)}
    largest = max((raw[name] for name in names if raw[name] > 0), default=max(raw.values()))
    return {name: weight / largest for name, weight in raw.items()}


def takes_away(weights: Mapping[str, float]) -> tuple[str, ...]:
    """Names of the actions that take away earlier interactions, sorted."""
    return tuple(sorted(name for name, weight in weights.items() if weight < 0))


def described(weights: Mapping[str, float], names: Collection[str]) -> str:
    """The weights of some actions in words, the largest first."""
    known = {name: weights.get(name, weights[""]) for name in names}
    order = sorted(known, key=lambda name: (-known[name], name))
    return ", ".join(
        f"{name or 'no action'} "
        + (f"{known[name]:.3g}" if known[name] >= 0 else f"({in_words(known[name])})")
        for name in order
    )


def in_words(weight: float) -> str:
    """A weight as the report and `check` show it."""
    if weight == ALL:
        return "takes away all"
    return f"takes away up to weight {-weight:.3g}" if weight < 0 else f"weight {weight:.3g}"


def can_undo(away: float, weight: float) -> bool:
    """Whether an action of a negative weight can take away one of a positive weight."""
    return weight <= ROUNDING - away


def standing(
    users: NDArray[np.integer[Any]], items: NDArray[np.integer[Any]], weights: NDArray[np.floating]
) -> NDArray[np.bool_]:
    """(interactions,): which of them count in the end, and no other takes them away.

    One with a negative weight takes away one that it can undo: of the user's standing interactions
    with the item whose weight is at most its own, the latest of the heaviest kind. So a refund
    takes the purchase and not the view after it, and a removal from the cart takes no purchase.
    `ALL` takes away every one. Only those of positive weight ever stand.

    Args:
        users: (interactions,) user rows.
        items: (interactions,) item rows, oldest first within a user.
        weights: (interactions,) weights of the actions.
    """
    if not (weights < 0).any():
        return weights > 0
    return (weights > 0) & (taken_by(users, items, weights) < 0)


def taken_by(
    users: NDArray[np.integer[Any]], items: NDArray[np.integer[Any]], weights: NDArray[np.floating]
) -> NDArray[np.int64]:
    """(interactions,): place of the interaction that takes each one away, as `standing` says.

    -1 for those that nothing takes away. Its arguments are those of `standing`.
    """
    taken, negative = np.full(len(items), -1), weights < 0
    if not negative.any():
        return taken
    pairs = users.astype(np.int64) * (1 + int(items.max())) + items
    touched = np.flatnonzero(np.isin(pairs, pairs[negative]))
    order = touched[np.argsort(pairs[touched], kind="stable")]
    kinds, current = dict[float, list[int]](), -1  # places of what stands, by weight
    columns = (order.tolist(), pairs[order].tolist(), weights[order].tolist())
    for place, pair, weight in zip(*columns, strict=True):
        if pair != current:
            kinds, current = {}, pair
        if weight > 0:
            kinds.setdefault(weight, []).append(place)
        elif weight == ALL:
            taken[[gone for places in kinds.values() for gone in places]] = place
            kinds = {}
        elif undone := [kind for kind, of in kinds.items() if of and can_undo(weight, kind)]:
            taken[kinds[max(undone)].pop()] = place
    return taken


def strengths(
    users: NDArray[np.integer[Any]], items: NDArray[np.integer[Any]], weights: NDArray[np.floating]
) -> NDArray[np.float32]:
    """(interactions,): the largest weight of each one's user and item."""
    if len(weights) and (weights == weights[0]).all():
        return weights.astype(np.float32)
    order = np.lexsort((items, users))
    first = np.ones(len(order), bool)
    first[1:] = (np.diff(users[order]) != 0) | (np.diff(items[order]) != 0)
    largest = np.empty(len(order), np.float32)
    starts = np.flatnonzero(first)
    if len(starts):
        of_pair = np.maximum.reduceat(weights[order], starts)
        largest[order] = of_pair[np.cumsum(first) - 1]
    return largest

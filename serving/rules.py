"""Rules of what a request may wish beside whom it is about and which items it wants."""

from collections.abc import Mapping

import numpy as np

from dataset.kinds import Kind
from index.sources import Scores
from serving.query import (
    Ask,
    Diversity,
    InvalidQueryError,
    Limits,
    Method,
    OtherReleaseError,
    Query,
    check_id,
)


def check_release(ask: Ask, live: str | None, limits: Limits) -> None:
    """Refuse a request that another release must answer.

    Args:
        ask: What was asked.
        live: Id of the release that answers; None where it was not published.
        limits: What ids may be.

    Raises:
        OtherReleaseError: it is bound to another release.
        InvalidQueryError: the release's id breaks a rule.
    """
    if not ask.release:
        return
    check_id("release", ask.release, limits)
    if ask.release != live:
        raise OtherReleaseError(ask.release, live)


def unit_vector(query: Query, dimension: int) -> Scores | None:
    """The embedding that a query brings, (dimension,) of unit length; None where it brings none.

    Raises:
        InvalidQueryError: names the field, the rule and the value.
    """
    if not len(query.vector):
        return None
    if query.search:
        raise InvalidQueryError("vector must not come with a search, got both")
    vector = np.asarray(query.vector, np.float64)
    if vector.shape != (dimension,):
        raise InvalidQueryError(
            f"vector must have as many numbers as the towers' {dimension}, got {len(vector)}"
        )
    if not np.isfinite(vector).all():
        raise InvalidQueryError("vector must be finite, got nan or inf")
    largest = np.abs(vector).max()
    if not largest:
        raise InvalidQueryError("vector must not be zero, got zeros alone")
    scaled = vector / largest  # so that no square is too large or too small
    unit: Scores = (scaled / np.linalg.norm(scaled)).astype(np.float32)
    return unit


def check_diversity(diversity: Diversity, kinds: Mapping[str, Kind]) -> None:
    """Refuse a diversity that cannot be meant.

    Args:
        diversity: What was asked.
        kinds: Of every attribute of the items, by name.

    Raises:
        InvalidQueryError: names the field, the rule and the value.
    """
    if not 0 <= diversity.strength <= 1:
        raise InvalidQueryError(
            f"strength of diversity must be within 0 and 1, got {diversity.strength}"
        )
    for name, items in diversity.at_most.items():
        if kinds.get(name) != "keyword":
            known = ", ".join(sorted(n for n, kind in kinds.items() if kind == "keyword"))
            raise InvalidQueryError(
                "attribute of diversity must be one of those with keywords "
                f"({known or 'none'}), got {name!r}"
            )
        if items < 1:
            raise InvalidQueryError(
                f"items of diversity must be at least 1 for {name!r}, got {items}"
            )


def check_embedded(ask: Ask, limits: Limits) -> None:
    """Refuse items or texts that may not be embedded.

    Raises:
        InvalidQueryError: names the field, the rule and the value.
    """
    name, given = "item_ids", ask.candidates
    if ask.method is Method.EMBED_TEXTS:
        name, given = "texts", ask.texts
    if not 1 <= len(given) <= limits.embedded:
        raise InvalidQueryError(f"{name} must be 1 to {limits.embedded}, got {len(given)}")
    for item_id in ask.candidates:
        check_id("item_id", item_id, limits)
    for text in ask.texts:
        if not text.strip() or len(text) > limits.text_length:
            raise InvalidQueryError(
                f"texts must have 1 to {limits.text_length} characters, not all blank, "
                f"got {len(text)}"
            )

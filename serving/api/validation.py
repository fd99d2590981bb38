"""Rules that every request must keep."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from dataset.attribute_kind import Kind
from serving.api.errors import OtherReleaseError
from serving.api.limits import Limits, check_id
from shortlist_client.api.errors import InvalidQueryError
from shortlist_client.api.filters import AnyOf
from shortlist_client.api.request import Ask, Diversity, Method, Query


def check_query(query: Query, limits: Limits, *, candidates: Sequence[str] | None = None) -> None:
    """Refuse a query that breaks a rule.

    Args:
        query: What was asked.
        limits: The rules.
        candidates: Item ids to be ranked, where that was asked; they then bound `limit`.

    Raises:
        InvalidQueryError: names the field, the rule and the value.
    """
    most, of = limits.shortlist, "the shortlist"
    if candidates is not None:
        most, of = limits.candidates, "the candidates allowed"
        if not 1 <= len(candidates) <= limits.candidates:
            raise InvalidQueryError(
                f"candidates must be 1 to {limits.candidates} item ids, got {len(candidates)}"
            )
    if not 1 <= query.limit <= most:
        raise InvalidQueryError(f"limit must be within 1 and {of} of {most}, got {query.limit}")
    _check_history(query, limits)
    _check_filters(query, limits)
    if len(query.search) > limits.search_length:
        raise InvalidQueryError(
            f"search must be at most {limits.search_length} characters, got {len(query.search)}"
        )
    if query.user_id is not None:
        check_id("user_id", query.user_id, limits)
    for item_id in (*query.history, *query.exclude, *(candidates or ())):
        check_id("item_id", item_id, limits)


def _check_history(query: Query, limits: Limits) -> None:
    if len(query.history) > limits.history:
        raise InvalidQueryError(
            f"history must be at most {limits.history} item ids, got {len(query.history)}"
        )
    for name, given in (
        ("history_times", query.history_times),
        ("history_actions", query.history_actions),
    ):
        if len(given) not in (0, len(query.history)):
            raise InvalidQueryError(
                f"{name} must be as many as the {len(query.history)} items of the history, "
                f"or none, got {len(given)}"
            )
    for earlier, later in pairwise(query.history_times):
        if later < earlier:
            raise InvalidQueryError(f"history_times must not decrease, got {later} after {earlier}")
    for action in query.history_actions:
        if len(action) > limits.id_length:
            raise InvalidQueryError(
                f"history_actions must have at most {limits.id_length} characters each, "
                f"got {len(action)}"
            )


def _check_filters(query: Query, limits: Limits) -> None:
    """Sizes alone; what the clauses may ask, the attributes know."""
    if len(query.exclude) > limits.excluded:
        raise InvalidQueryError(
            f"exclude must be at most {limits.excluded} item ids, got {len(query.exclude)}"
        )
    clauses = list(query.filters)
    if len(clauses) > limits.clauses:
        raise InvalidQueryError(
            f"filters must have at most {limits.clauses} clauses, got {len(clauses)}"
        )
    for clause in clauses:
        if isinstance(clause, AnyOf) and len(clause.values) > limits.values:
            raise InvalidQueryError(
                f"values of attribute {clause.attribute!r} must be at most {limits.values}, "
                f"got {len(clause.values)}"
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

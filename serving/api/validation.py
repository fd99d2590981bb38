"""Rules of requests, ids and items."""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise

from dataset.attribute_kind import Kind
from serving.api.errors import OtherReleaseError
from serving.api.limits import Limits
from serving.api.request import Method, Request, check_honoured
from shortlist_client.api.checks import shown
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.event import ID_LENGTH
from shortlist_client.api.exposure import PLACEMENT
from shortlist_client.api.filters import AnyOf
from shortlist_client.api.item import ITEM_BYTES, TEXT_BYTES, TITLE_BYTES, Item
from shortlist_client.api.request import Diversity, Shopper, Wishes

MESSAGE_ROWS = 1_000
"""Largest number of events or items in one message."""


def check_request(request: Request, limits: Limits) -> None:
    """Refuse a request that breaks a rule; `check_inputs` has the rules of items and texts.

    Raises:
        InvalidRequestError: names the field, the rule and the value.
    """
    shopper, wishes = request.shopper, request.wishes
    most, of = limits.shortlist, "the shortlist"
    if request.method is Method.RANK:
        most, of = limits.candidates, "the candidates allowed"
        if not 1 <= len(request.candidates) <= limits.candidates:
            raise InvalidRequestError(
                f"candidates must be 1 to {limits.candidates} item ids, "
                f"got {len(request.candidates)}"
            )
    if wishes.limit is not None and not 1 <= wishes.limit <= most:
        raise InvalidRequestError(f"limit must be within 1 and {of} of {most}, got {wishes.limit}")
    _check_history(shopper, limits)
    _check_wishes(wishes, limits)
    if len(shopper.search) > limits.search_length:
        raise InvalidRequestError(
            f"search must be at most {limits.search_length} characters, got {len(shopper.search)}"
        )
    if shopper.user_id is not None:
        check_id("user_id", shopper.user_id, limits)
    for item_id in (*shopper.history, *wishes.exclude, *request.candidates):
        check_id("item_id", item_id, limits)


def _check_history(shopper: Shopper, limits: Limits) -> None:
    check_count("history", len(shopper.history), limits.history, "item ids")
    check_count("vector", len(shopper.vector), limits.vector, "numbers")
    for name, given in (
        ("history_times", shopper.history_times),
        ("history_actions", shopper.history_actions),
    ):
        if len(given) not in (0, len(shopper.history)):
            raise InvalidRequestError(
                f"{name} must be as many as the {len(shopper.history)} items of the history, "
                f"or none, got {len(given)}"
            )
    for earlier, later in pairwise(shopper.history_times):
        if later < earlier:
            raise InvalidRequestError(
                f"history_times must not decrease, got {later} after {earlier}"
            )
    for action in shopper.history_actions:
        if len(action) > limits.id_length:
            raise InvalidRequestError(
                f"history_actions must have at most {limits.id_length} characters each, "
                f"got {len(action)}"
            )


def _check_wishes(wishes: Wishes, limits: Limits) -> None:
    """Checks sizes and numbers; the attribute index checks the clauses."""
    if not 0 <= wishes.min_probability <= 1:
        raise InvalidRequestError(
            f"min_probability must be within 0 and 1, got {wishes.min_probability}"
        )
    check_count("exclude", len(wishes.exclude), limits.excluded, "item ids")
    check_count("at_most", len(wishes.diversity.at_most), limits.at_most, "attributes")
    clauses = list(wishes.filters)
    check_count("filters", len(clauses), limits.clauses, "clauses")
    values = sum(len(clause.values) for clause in clauses if isinstance(clause, AnyOf))
    check_count("filters", values, limits.values, "values")


def check_answerable(request: Request, live: str | None, limits: Limits) -> None:
    """Refuse a request that names another release or has fields that its call cannot honour.

    Args:
        request: The request.
        live: Id of the release that answers; None if it was not published.
        limits: Limits on ids.

    Raises:
        OtherReleaseError: the request names another release.
        InvalidRequestError: a field must be absent, or the release's id or the placement breaks a
            rule.
    """
    check_honoured(request)
    if not PLACEMENT.fullmatch(request.wishes.placement):
        raise InvalidRequestError(
            "placement must be at most 64 ASCII letters, digits and _-./, "
            f"got {shown(request.wishes.placement)}"
        )
    release = request.wishes.release
    if not release:
        return
    check_id("release", release, limits)
    if release != live:
        raise OtherReleaseError(release, live)


def check_diversity(
    diversity: Diversity, kinds: Mapping[str, Kind], described: Sequence[str]
) -> None:
    """Refuse a diversity that breaks a rule.

    Args:
        diversity: Diversity of the request.
        kinds: Kinds of the items' attributes, by name.
        described: Attributes that profiles describe.

    Raises:
        InvalidRequestError: names the field, the rule and the value.
    """
    for field, value in (("strength", diversity.strength), ("calibrated", diversity.calibrated)):
        if not 0 <= value <= 1:
            raise InvalidRequestError(f"{field} of diversity must be within 0 and 1, got {value}")
    if diversity.strength and diversity.calibrated:
        raise InvalidRequestError(
            "calibrated of diversity must not come with a strength, "
            f"got {diversity.calibrated} and {diversity.strength}"
        )
    name = diversity.calibrated_by
    if name and not diversity.calibrated:
        raise InvalidRequestError(f"calibrated_by must come with calibrated, got {name!r} alone")
    if diversity.calibrated and (not described or (name and name not in described)):
        raise InvalidRequestError(
            "calibrated_by of diversity must be an attribute of profiles "
            f"({', '.join(described) or 'none'}), got {name!r}"
        )
    for name, items in diversity.at_most.items():
        if kinds.get(name) != "keyword":
            known = ", ".join(sorted(n for n, kind in kinds.items() if kind == "keyword"))
            raise InvalidRequestError(
                f"attribute of diversity must be a keyword attribute ({known or 'none'}), "
                f"got {name!r}"
            )
        if items < 1:
            raise InvalidRequestError(
                f"items of diversity must be at least 1 for {name!r}, got {items}"
            )


def check_inputs(request: Request, limits: Limits) -> None:
    """Refuse items or texts to embed or to classify that break a rule.

    Raises:
        InvalidRequestError: names the field, the rule and the value.
    """
    name, given = "item_ids", request.candidates
    if request.method in (Method.EMBED_TEXTS, Method.CLASSIFY_TEXTS):
        name, given = "texts", request.texts
    if not 1 <= len(given) <= limits.embedded:
        raise InvalidRequestError(f"{name} must be 1 to {limits.embedded}, got {len(given)}")
    for item_id in request.candidates:
        check_id("item_id", item_id, limits)
    for text in request.texts:
        if not text.strip() or len(text) > limits.text_length:
            raise InvalidRequestError(
                f"texts must have 1 to {limits.text_length} characters, not all blank, "
                f"got {len(text)}"
            )
    top_k = request.labelling.top_k
    if top_k is not None and not 1 <= top_k <= limits.labels:
        raise InvalidRequestError(f"top_k must be within 1 and {limits.labels}, got {top_k}")


def check_question(request: Request, limits: Limits) -> None:
    """Refuse a question that breaks a rule.

    Raises:
        InvalidRequestError: names the rule and the length.
    """
    (question,) = request.texts
    if not question.strip() or len(question) > limits.search_length:
        raise InvalidRequestError(
            f"question must have 1 to {limits.search_length} characters, not all blank, "
            f"got {len(question)}"
        )


def check_id(name: str, value: str, limits: Limits) -> None:
    """Refuse an id that is empty or too long.

    Raises:
        InvalidRequestError: names the field, the rule and the length.
    """
    if not 1 <= len(value) <= limits.id_length:
        raise InvalidRequestError(
            f"{name} must have 1 to {limits.id_length} characters, got {len(value)}"
        )


def check_item(item: Item, limits: Limits) -> None:
    """Refuse an item that breaks a rule.

    Raises:
        InvalidRequestError: names the field, the rule and the value.
    """
    check_id("item_id", item.item_id, limits)
    if not item.title.strip():
        raise InvalidRequestError(
            f"title of {item.item_id!r} must not be empty, got {item.title!r}"
        )
    _check_bytes(f"title of {item.item_id!r}", item.title, TITLE_BYTES)
    for name in (*item.texts, *item.attributes):
        if len(name) > ID_LENGTH:
            raise InvalidRequestError(
                f"names of fields of {item.item_id!r} must have at most {ID_LENGTH} characters, "
                f"got {len(name)}"
            )
    for name, value in item.texts.items():
        lines = [value] if isinstance(value, str) else value
        if not isinstance(lines, list | tuple) or not all(isinstance(line, str) for line in lines):
            raise InvalidRequestError(
                f"texts of {item.item_id!r} must be strings or lists of strings, "
                f"got {name}={shown(value)}"
            )
        for line in lines:
            _check_bytes(f"{name} of {item.item_id!r}", line, TEXT_BYTES)
    try:
        size = len(json.dumps(item.described(), allow_nan=False).encode())
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(
            f"attributes of {item.item_id!r} must be plain JSON values: {error}"
        ) from error
    if size > ITEM_BYTES:
        raise InvalidRequestError(
            f"fields of {item.item_id!r} must have at most {ITEM_BYTES} bytes, got {size}"
        )


def _check_bytes(name: str, text: str, most: int) -> None:
    if (size := len(text.encode(errors="surrogatepass"))) > most:
        raise InvalidRequestError(f"{name} must have at most {most:,} bytes, got {size:,}")


def check_count(name: str, got: int, most: int, of: str) -> None:
    """Refuse more elements than a field may have.

    Raises:
        InvalidRequestError: names the field, the limit and the number.
    """
    if got > most:
        raise InvalidRequestError(f"{name} must be at most {most} {of}, got {got}")


def check_rows(name: str, rows: int) -> None:
    """Refuse a message with too few or too many rows.

    Raises:
        InvalidRequestError: names the field, the rule and the number.
    """
    if not 1 <= rows <= MESSAGE_ROWS:
        raise InvalidRequestError(f"{name} must be 1 to {MESSAGE_ROWS:,} a message, got {rows:,}")

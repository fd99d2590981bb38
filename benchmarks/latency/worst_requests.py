"""The costliest requests that the limits allow, for measuring how long one request may take.

    python -m benchmarks.latency.worst_requests --artifacts artifacts/ml-100k

Prints the engine's time of each, the worst last. Each request takes one limit, or several together,
to its maximum.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonargparse

from lineage.cli import configure_logging, reported_errors
from serving.api.limits import Limits
from serving.api.request import Method, Request
from shortlist_client.api.filters import AnyOf, Filters, Range
from shortlist_client.api.request import Diversity, Shopper, Wishes

if TYPE_CHECKING:
    from serving.engine.engine import Engine

REPEATS = 3
"""Measurements of each request; the shortest counts."""
ABOUT_SHOPPER = (Method.RECOMMEND, Method.RETRIEVE)
CROWDED = "\u0301"
"""A combining mark: every one may become a token of its own."""


def worst_requests(engine: "Engine") -> Iterator[tuple[str, Request]]:
    """Name and request of each combination of limits.

    Args:
        engine: The engine that will answer; the requests use its items and attributes.
    """
    limits, catalogue = engine.limits, engine.cascade.catalogue
    rows = min(len(catalogue), limits.history)
    known = [catalogue.item_id(row) for row in range(rows)]
    shoppers = _shoppers(known, limits)
    filters = _filters(engine.cascade.attributes.kinds, _values(engine), limits)
    for method in ABOUT_SHOPPER:
        for who, shopper in shoppers.items():
            for what, wishes in _wishes(engine, known, filters).items():
                yield f"{method.value}: {who}, {what}", Request(
                    method=method, shopper=shopper, wishes=wishes
                )
    everything = Wishes(explain=True, explain_texts=True)
    candidates = list(islice(cycle(known), limits.candidates))
    for who, shopper in shoppers.items():
        if not shopper.search:
            yield f"rank: {who}, explained", Request(
                method=Method.RANK, shopper=shopper, wishes=everything, candidates=candidates
            )
    for what, clauses in filters.items():
        wishes = Wishes(filters=clauses, exclude=_many(known, limits.excluded), limit=limits.shortlist)
        yield f"similar: {what}", Request(method=Method.SIMILAR, item_id=known[0], wishes=wishes)
    yield from _embeds(shoppers, known, limits)


def _embeds(
    shoppers: Mapping[str, Shopper], known: Sequence[str], limits: Limits
) -> Iterator[tuple[str, Request]]:
    for who, shopper in shoppers.items():
        yield f"embed: {who}", Request(method=Method.EMBED_SHOPPER, shopper=shopper)
    items = list(islice(cycle(known), limits.embedded))
    yield "embed: items", Request(method=Method.EMBED_ITEMS, candidates=items)
    for what, piece in (("words", "the cat "), ("marks", CROWDED), ("signs", "!?.,")):
        texts = [f"{n}{piece * limits.text_length}"[: limits.text_length] for n in range(limits.embedded)]
        yield f"embed: texts of {what}", Request(method=Method.EMBED_TEXTS, texts=texts)


def _shoppers(known: Sequence[str], limits: Limits) -> dict[str, Shopper]:
    history = _many(known, limits.history)
    times, actions = list(range(limits.history)), ["view", "purchase"] * (limits.history // 2)
    timed: dict[str, Any] = {"history_times": times, "history_actions": actions}
    if len(actions) < limits.history:
        timed = {"history_times": times}
    return {
        "long history": Shopper(history=history, **timed),
        "unknown history": Shopper(history=[f"unknown-{n}" for n in range(limits.history)]),
        "search": Shopper(history=history, search=(CROWDED * limits.search_length)),
        "stranger": Shopper(),
    }


def _wishes(
    engine: "Engine", known: Sequence[str], filters: Mapping[str, Filters]
) -> Iterator_of_wishes:
    ...

"""No message that the server accepts keeps its event loop busy for long."""

from functools import partial

import grpc
import pytest
from tqdm import tqdm

from serving.api.limits import DEFAULT_LIMITS
from serving.server.interceptors.message_size import most_bytes
from tests.serving.server.bounds.largest_messages import largest
from tests.serving.server.bounds.measured_loop import METHODS, Loop
from tests.serving.server.bounds.worst_messages import filled, held

LOOP_SECONDS = 0.020
"""Longest time for which the event loop may do nothing else, processor seconds"""
NOISE = 1.5
"""Factor for other load on the machine, whose caches the test shares"""
REPEATS, SUSPECTS = 9, 3
"""Measurements of a message at most, of which the shortest counts; messages measured so often"""
FILTERS = (
    ".wishes.filters: each field",
    ".wishes.filters: should",
    ".wishes.filters: must_not",
    ".wishes.filters.must_not.any_of: values of unknown fields",
)
FEW = 40
"""Messages of a method that the quick test takes all of"""
HISTORY = (".shopper: history_item_ids",)
WORST = {
    "Recommend": (*FILTERS, *HISTORY),
    "RecommendStream": (*FILTERS, *HISTORY),
    "Retrieve": (*FILTERS, *HISTORY),
    "Rank": FILTERS,
    "SimilarItems": (*FILTERS, ".wishes.diversity: at_most"),
    "Embed": (*FILTERS, "EmbedRequest: shopper of history_item_ids"),
    "Profile": (*FILTERS, *HISTORY),
    "Answer": FILTERS,
    "Upsert": (
        "UpsertRequest: items",
        ".items.texts: each field",
        ".items.texts: fields of unknown fields",
        ".items.texts.fields.value.list_value.values.struct_value.fields: distinct keys",
    ),
}
"""Messages that took longest when all were searched, as `make test-slow` does.

Other methods have few messages, and the quick test takes all of them.
"""


@pytest.fixture(scope="module")
def loop():
    loop = Loop(DEFAULT_LIMITS)
    yield loop
    loop.close()


def searched(path):
    """Description of every message that fills the accepted size, and what makes it."""
    return filled(METHODS[path].input_type, most_bytes(path, DEFAULT_LIMITS))


def legal(path):
    """The same of the largest messages that the limits allow."""
    for place, wire in enumerate(largest(DEFAULT_LIMITS).get(path.rsplit("/", 1)[1], [])):
        yield f"legal {place}", partial(bytes, wire)


def shortest(loop, path, make):
    """Seconds and status of a message: the first measurement that is short enough, or the best."""
    measured = []
    for _ in range(REPEATS):
        measured.append(loop.busy(path, make()))
        if measured[-1][0] < NOISE * LOOP_SECONDS:
            return measured[-1]
    return min(measured, key=lambda one: one[0])


@pytest.mark.parametrize("path", sorted(METHODS))
def test_the_worst_messages_do_not_keep_the_event_loop_busy_for_long(loop, path):
    made = dict(searched(path))

    for name in WORST.get(path.rsplit("/", 1)[1], made):
        seconds, status = shortest(loop, path, made[name])
        assert seconds < NOISE * LOOP_SECONDS, (name, status)


def test_every_method_with_many_messages_has_known_worst_ones():
    many = {path.rsplit("/", 1)[1] for path in METHODS if len(list(searched(path))) > FEW}

    assert many == set(WORST)


@pytest.mark.parametrize("name", sorted(largest(DEFAULT_LIMITS)))
def test_the_largest_messages_are_accepted_and_do_not_keep_the_event_loop_busy(loop, name):
    path = next(path for path in METHODS if path.endswith(f"/{name}"))
    messages = list(legal(path))

    assert messages
    for place, make in messages:
        assert len(make()) <= most_bytes(path, DEFAULT_LIMITS), place
        seconds, status = loop.busy(path, make())
        if seconds >= NOISE * LOOP_SECONDS:  # or the machine was busy
            seconds, status = shortest(loop, path, make)
        assert status is grpc.StatusCode.OK, place
        assert seconds < NOISE * LOOP_SECONDS, place


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("path", sorted(METHODS))
def test_no_message_keeps_the_event_loop_busy_for_long(loop, path, capsys):
    every = [*searched(path), *legal(path)]
    times = sorted(
        ((loop.busy(path, make())[0], place) for place, (_, make) in enumerate(every)), reverse=True
    )
    suspects = [every[place] for _, place in times[:SUSPECTS]]
    (seconds, status), name = max(
        ((shortest(loop, path, make), name) for name, make in suspects), key=lambda one: one[0][0]
    )

    with capsys.disabled():
        tqdm.write(f"{path[-20:]:20} {1e3 * seconds:5.1f} ms  {status.name:18} {name}")
    assert seconds < NOISE * LOOP_SECONDS, (name, status)


def test_the_search_finds_empty_clauses_and_distinct_keys():
    clause, keys = held(2, held(2, b"\x0a\x00" * 9)), b"\x0a\x03\x0a\x010"

    recommend, upsert = (
        {name: make() for name, make in filled(METHODS[path].input_type, 1_000)}
        for path in (
            "/recommender.v1.RecommenderService/Recommend",
            "/recommender.v1.CatalogService/Upsert",
        )
    )

    assert any(
        wire.count(b"\x0a\x00") > 480 and wire[:1] == clause[:1] for wire in recommend.values()
    )
    assert any(keys in wire for wire in upsert.values())
    assert all(850 < len(wire) <= 1_000 for wire in [*recommend.values(), *upsert.values()])

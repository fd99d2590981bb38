"""No message that the server accepts keeps the engine from other requests for long."""

import asyncio
import time
from contextlib import suppress
from dataclasses import replace
from itertools import cycle, islice
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tqdm import tqdm

from serving.api.errors import UnavailableError
from serving.api.limits import DEFAULT_LIMITS
from serving.api.request import TEXTS_AT_ONCE, Method, Request
from serving.batching.engine_thread import EngineThread
from serving.batching.request_queue import QueueConfig
from serving.engine import explain_history, explain_text
from serving.engine.engine import Engine, EngineConfig
from serving.engine.latency import LatencyEstimator
from serving.engine.pieces import within_deadline
from serving.server.servicers.recommender import RecommenderServicer
from shortlist_client.api.answer import Answer
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb
from tests.conftest import make_shop, save_bert
from tests.rounding import BATCHES, SERVED, rounding
from tests.serving.server.bounds.largest_messages import largest
from tests.serving.server.bounds.neighbours import neighbours

PIECE_SECONDS = 0.200
"""Longest time for which no other request can be begun, processor seconds of one core"""
NOISE = 1.5
"""Factor for other load on the machine, whose caches the test shares"""
REPEATS = 3
"""Measurements, of which the shortest counts"""
GROWTH = 1.05
"""Growth of the longest piece for which the search goes on"""
KNOWN = 60
"""Items of the catalogue in a history, over and over"""
MESSAGES = {
    "Recommend": pb.RecommendRequest,
    "RecommendStream": pb.RecommendStreamRequest,
    "Retrieve": pb.RetrieveRequest,
    "Rank": pb.RankRequest,
    "SimilarItems": pb.SimilarItemsRequest,
    "Embed": pb.EmbedRequest,
    "Profile": pb.ProfileRequest,
}
CONFIG = EngineConfig(ranked=200)


@pytest.fixture(scope="module")
def tiny(release):
    return Engine.load(release, CONFIG)


@pytest.fixture(scope="module")
def real(build_release, tmp_path_factory):
    """Engine of a small shop with models as large as the usual ones."""
    folder = tmp_path_factory.mktemp("real")
    backbone = save_bert(folder, layers=6, hidden=384, heads=12)
    root = build_release(
        folder / "shop", make_shop(), epochs=1, backbone=backbone, dimension=384, width=128
    )
    return Engine.load(root, CONFIG)


def requests_of(name, engine, messages=None):
    """What messages of a call ask of the engine, about items that it knows; refused ones nothing.

    By default, the largest messages that the limits allow.
    """
    asked = []
    if messages is None:
        messages = [MESSAGES[name].FromString(wire) for wire in largest(DEFAULT_LIMITS)[name]]

    async def answer(request, **_):
        asked.append(request)
        raise UnavailableError("asked")

    async def send(message):
        servicer = RecommenderServicer(
            SimpleNamespace(answer=answer), None, None, draining=asyncio.Event(), stream_requests=1
        )
        context = SimpleNamespace(time_remaining=lambda: None, peer=lambda: "test")
        if name == "RecommendStream":
            return [one async for one in servicer.RecommendStream(_stream(message), context)]
        return await getattr(servicer, name)(message, context)

    for message in messages:
        with suppress(UnavailableError, ValueError):
            asyncio.run(send(message))
    return [known(request, engine) for request in asked]


async def _stream(message):
    yield message


def known(request, engine):
    """The request with items of the catalogue in place of unknown ones, which cost nothing."""
    catalogue = engine.cascade.catalogue
    ids = [catalogue.item_id(row) for row in range(len(catalogue))]
    shopper = request.shopper
    if shopper.history:
        history = tuple(islice(cycle(ids[:KNOWN]), len(shopper.history)))
        request = replace(request, shopper=replace(shopper, history=history))
    if shopper.vector:
        vector = (1.0,) * engine.cascade.retriever.sources.index.dimension
        request = replace(request, shopper=replace(shopper, vector=vector))
    if request.candidates:
        request = replace(request, candidates=ids[-len(request.candidates) :])
    return replace(request, item_id=ids[0] if request.item_id else "")


def times(engine, request):
    """Processor seconds of the pieces of an answer, and the answer."""
    found, seconds, started = None, [], time.thread_time()
    for placed in engine.answers([request]):
        seconds.append(time.thread_time() - started)
        started, found = time.thread_time(), placed or found
    return seconds, found[1]


def longest(engine, request):
    return min(max(times(engine, request)[0]) for _ in range(REPEATS))


@pytest.fixture
def one_core():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", MESSAGES)
def test_no_message_has_a_long_piece(real, name, one_core, capsys):
    """Starts from the largest messages and changes a field at a time as long as pieces grow."""
    seconds, found, tried = 0.0, MESSAGES[name](), 0
    around = starts = [MESSAGES[name].FromString(wire) for wire in largest(DEFAULT_LIMITS)[name]]
    while True:
        tried += len(around)
        asked = [(request, one) for one in around for request in requests_of(name, real, [one])]
        first = [max(times(real, request)[0]) for request, _ in asked]
        request, message = asked[int(np.argmax(first))]
        grown = longest(real, request)
        if grown < GROWTH * seconds:
            break
        seconds, found, around = grown, message, list(neighbours(message, starts))

    with capsys.disabled():
        tqdm.write(f"{name:16} {1e3 * seconds:5.0f} ms  the longest of {tried} messages")
    assert seconds < NOISE * PIECE_SECONDS, str(found)[:300]


@pytest.mark.parametrize("name", MESSAGES)
def test_long_messages_are_answered_in_many_pieces(tiny, name):
    told = [(one, *times(tiny, one)) for one in requests_of(name, tiny)]
    pieces = [
        (len(seconds), one.is_long)
        for one, seconds, answer in told
        if isinstance(answer, Answer) and (answer.items or answer.embeddings)
    ]

    assert all(count == 1 or is_long for count, is_long in pieces)
    if name == "Embed":
        assert max(pieces)[0] == DEFAULT_LIMITS.embedded / TEXTS_AT_ONCE
    elif name not in ("SimilarItems", "Profile"):
        assert max(pieces)[0] > 6


def most_expensive(engine):
    ids = [engine.cascade.catalogue.item_id(row) for row in range(240)]
    wishes = Wishes(explain=True, explain_texts=True)
    return Request(
        method=Method.RANK, shopper=Shopper(history=ids[:50]), wishes=wishes, candidates=ids[40:]
    )


def test_pieces_leave_the_answer_as_it_is(tiny, monkeypatch):
    embed = Request(method=Method.EMBED_TEXTS, texts=[f"red lamp {n}" for n in range(32)])
    _, explained = times(tiny, most_expensive(tiny))
    _, embedded = times(tiny, embed)
    monkeypatch.setattr(explain_history, "COST_AT_ONCE", 10**9)
    monkeypatch.setattr(explain_text, "TEXTS_AT_ONCE", 10**9)
    seconds, whole = times(tiny, most_expensive(tiny))
    texts = tiny.cascade.retriever.texts(embed.texts)

    assert len(seconds) < 6
    tolerance = rounding(20, terms=1024, stored=1, dtype=SERVED)
    for one, other in zip(explained.items, whole.items, strict=True):
        assert replace(one, reasons=(), text_reasons=()) == replace(
            other, reasons=(), text_reasons=()
        )
        for kind, name in (("reasons", "item_id"), ("text_reasons", "field")):
            told, expected = (
                {getattr(reason, name): reason.contribution for reason in getattr(item, kind)}
                for item in (one, other)
            )
            assert told == pytest.approx(expected, abs=tolerance)
    assert len(explained.items[0].reasons) == 20
    np.testing.assert_allclose(
        [one.values for one in embedded.embeddings],
        texts,
        atol=rounding(1, **BATCHES, dtype=SERVED),
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_plain_request_is_answered_while_the_most_expensive_one_runs(real):
    ids = [real.cascade.catalogue.item_id(row) for row in range(20)]
    plain = Request(method=Method.RECOMMEND, shopper=Shopper(history=ids))

    async def seconds(thread, request):
        started = time.monotonic()
        await thread.answer(request)
        return time.monotonic() - started

    async def work():
        live = SimpleNamespace(current=real, age_seconds=None)
        with EngineThread(lambda: live, QueueConfig()) as thread:
            await thread.ready()
            alone = await seconds(thread, most_expensive(real))
            running = asyncio.create_task(thread.answer(most_expensive(real)))
            waits = []
            while not running.done():
                waits.append(await seconds(thread, plain))
            await running
            return alone, waits

    alone, waits = asyncio.run(work())

    assert len(waits) > 5
    assert np.median(waits) < alone / 3


def test_work_goes_on_while_the_deadline_leaves_time_for_the_rest():
    latency = LatencyEstimator()
    latency.record(1, 100.0)
    done = []

    def work():
        for share in (0.0, 0.5, 0.9):
            yield share
            done.append(share)
        return "result"

    def result(seconds):
        done.clear()
        pieces = within_deadline(work(), time.monotonic() + seconds, latency, 1)
        try:
            while True:
                next(pieces)
        except StopIteration as finished:
            return finished.value

    assert result(60) is None
    assert done == []
    whole, took = result(200)
    assert whole == "result"
    assert took < 1
    latency.clear()
    latency.record(1, 100.0)

    pieces = within_deadline(work(), time.monotonic() + 100.2, latency, 1)
    next(pieces)
    next(pieces)
    latency.clear()
    latency.record(1, 1_000.0)
    with pytest.raises(StopIteration) as finished:
        next(pieces)
    assert finished.value.value is None
    assert done == [0.0, 0.5, 0.9, 0.0]

import random
import time
import urllib.request
from dataclasses import replace

import pytest

from events.open_store import open_store
from lineage.releases import live_release
from retrieval.cache_config import CacheConfig
from serving.api.limits import Limits
from serving.api.request import Method, Request
from serving.engine.engine import EngineConfig
from serving.live.live_engine import LiveEngine
from serving.releases.publish import PublishConfig, publish, roll_back
from serving.releases.reloader import Reloader
from serving.server.answer_cache import AnswerCache, key_of
from shortlist_client.api.answer import Degraded
from shortlist_client.api.event import Event
from shortlist_client.api.filters import AnyOf, Filters
from shortlist_client.api.item import Item
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.client import RecommenderClient
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb

SECONDS = 60
CACHE = CacheConfig()
CONFIG = EngineConfig(ranked=6, limits=Limits(shortlist=12), cache=CACHE)
TOKEN, NEW_TOKEN = object(), object()


@pytest.fixture
def cached(start, fake):
    running = start(lambda: fake, cache=CACHE, metrics_port=0)
    running.loaded.result(SECONDS)
    with RecommenderClient(running.address, timeout=SECONDS) as client:
        client.server = running.server
        yield client


def from_cache(answer):
    return list(answer.milliseconds) == ["cache"]


def test_a_repeated_request_is_answered_from_the_cache(cached, fake):
    first = cached.recommend(Shopper(user_id="u"), Wishes(request_id="a"))
    second = cached.recommend(Shopper(user_id="u"), Wishes(request_id="b"))

    assert len(fake.calls) == 1
    assert (from_cache(first), from_cache(second)) == (False, True)
    assert second.request_id == "b"
    assert replace(second, milliseconds={}, request_id="a") == replace(first, milliseconds={})


def test_different_requests_are_answered_separately(cached, fake):
    true = Filters(must=[AnyOf("new", [True])])
    one = Filters(must=[AnyOf("new", [1])])
    requests = [
        lambda: cached.recommend(Shopper(user_id="u")),
        lambda: cached.recommend(Shopper(user_id="v")),
        lambda: cached.recommend(Shopper(history=["u"])),
        lambda: cached.recommend(Shopper(history=["u", "v"])),
        lambda: cached.recommend(Shopper(history=["uv"])),
        lambda: cached.recommend(Shopper(history=["u"], history_times=[7])),
        lambda: cached.recommend(Shopper(user_id="u"), Wishes(limit=3)),
        lambda: cached.recommend(Shopper(user_id="u", search="u")),
        lambda: cached.recommend(Shopper(user_id="u"), Wishes(exclude=["u"])),
        lambda: cached.recommend(Shopper(user_id="u"), Wishes(min_probability=0.2)),
        lambda: cached.recommend(Shopper(user_id="u"), Wishes(min_probability=0.3)),
        lambda: cached.recommend(Shopper(user_id="u"), Wishes(filters=true)),
        lambda: cached.recommend(Shopper(user_id="u"), Wishes(filters=one)),
        lambda: cached.retrieve(Shopper(user_id="u")),
        lambda: cached.rank(["u"], Shopper()),
        lambda: cached.similar("u"),
    ]

    for send in requests * 2:
        send()

    assert len(fake.calls) == len(requests)


def test_a_new_version_token_clears_the_cache(cached, fake):
    cached.recommend(Shopper(user_id="u"))
    fake.version_token = object()

    assert not from_cache(cached.recommend(Shopper(user_id="u")))
    assert from_cache(cached.recommend(Shopper(user_id="u")))


def test_an_answer_computed_during_a_change_is_not_cached(fake):
    cache, answer = AnswerCache(CACHE), pb.Answer(request_id="a")

    assert cache.get(b"k", TOKEN) is None
    assert cache.get(b"other", NEW_TOKEN) is None
    cache.put(b"k", TOKEN, answer)

    assert cache.get(b"k", NEW_TOKEN) is None


def test_a_degraded_answer_is_not_cached(cached, fake):
    whole, fake.answer = fake.answer, replace(fake.answer, degraded=Degraded.DEADLINE)
    assert cached.recommend(Shopper(user_id="u")).degraded
    fake.answer = whole
    assert not cached.recommend(Shopper(user_id="u")).degraded
    assert len(fake.calls) == 2


def test_memory_is_bounded_and_a_larger_answer_is_not_cached():
    cache = AnswerCache(CacheConfig(answers_mb=1))
    cache.get(b"", TOKEN)
    for number in range(300):
        cache.put(str(number).encode(), TOKEN, pb.Answer(request_id="x" * 10_000))
    cache.put(b"large", TOKEN, pb.Answer(request_id="x" * 1_000_000))

    cached = [number for number in range(300) if cache.get(str(number).encode(), TOKEN)]
    assert 90 < len(cached) < 100
    assert cached[-1] == 299
    assert cache.get(b"large", TOKEN) is None


def test_an_answer_expires():
    cache = AnswerCache(CacheConfig(seconds=0.05))
    cache.get(b"k", TOKEN)
    cache.put(b"k", TOKEN, pb.Answer())
    assert cache.get(b"k", TOKEN) is not None

    time.sleep(0.1)

    assert cache.get(b"k", TOKEN) is None


def test_a_key_depends_on_the_recent_events_and_not_on_the_request_id():
    def key(*recent, request_id=""):
        events = [Event(user_id="u", item_id=i, action=a, time=t) for i, a, t in recent]
        request = pb.RecommendRequest(
            shopper=pb.Shopper(user_id="u"), wishes=pb.Wishes(request_id=request_id)
        )
        return key_of(Method.RECOMMEND, request, events)

    buy = ("i1", "buy", 5)
    assert key(buy) == key(buy, request_id="n")
    others = [(), (buy, buy), (("i2", "buy", 5),), (("i1", "view", 5),), (("i1", "buy", 6),)]
    assert len({key(buy), *(key(*recent) for recent in others)}) == 6


def test_hits_and_misses_are_counted(cached):
    for _ in range(3):
        cached.recommend(Shopper(user_id="u"))

    url = f"http://127.0.0.1:{cached.server.metrics_port.port}/metrics"
    with urllib.request.urlopen(url, timeout=SECONDS) as response:
        text = response.read().decode()

    assert 'shortlist_cache_lookups_total{cache="answers",found="hit"} 2.0' in text
    assert 'shortlist_cache_lookups_total{cache="answers",found="miss"} 1.0' in text


@pytest.fixture
def shop_server(start, release, renamed, tmp_path):
    """A server of two releases with a cache, its event store, and a switch to a random release."""
    releases = tmp_path / "releases" / "shop"
    publish(renamed, releases, PublishConfig())
    publish(release, releases, PublishConfig())
    root = live_release(releases)
    store = open_store(str(tmp_path / "events.sqlite"))
    reloader = Reloader(root, lambda folder: LiveEngine.load(folder, CONFIG))
    running = start(lambda: LiveEngine.load(root, CONFIG), parts={"store": store}, cache=CACHE)
    running.loaded.result(SECONDS)
    names = [folder.name for folder in releases.iterdir() if folder.name[0].isdigit()]

    def switch(chosen):
        roll_back(releases, chosen.choice(names))
        reloader.look(running.server.engine)

    yield running, store, switch
    running.server.engine.engine.close()


def computed(engine, request):
    """The engine's answer to a request without any cache."""
    cascade = engine.current.cascade
    retriever = replace(cascade.retriever, cache=None)
    plain = replace(engine.current, cascade=replace(cascade, retriever=retriever))
    ((_, answer),) = plain.answers([request])
    return answer


def random_request(chosen):
    """One of a few different requests."""
    blue = Filters(must=[AnyOf("colour", ["blue", "red"])])
    limit, who = chosen.choice([5, 12]), chosen.randrange(4)
    user_id = chosen.choice(["u1", "u2", "stranger"]) if who < 3 else None
    history = chosen.choice([("i3", "i1"), ("i3", "b-1"), ("i5",)]) if who == 3 else ()
    filters = blue if chosen.random() < 0.3 else Filters()
    search = "red shirt" if chosen.random() < 0.2 else ""
    return Request(
        method=chosen.choice([Method.RECOMMEND, Method.RETRIEVE]),
        shopper=Shopper(user_id=user_id, history=history, search=search),
        wishes=Wishes(limit=limit, filters=filters),
    )


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_cached_answer_equals_the_computed_one(shop_server, seed):
    running, store, switch = shop_server
    thread, chosen, hits = running.server.engine, random.Random(seed), 0
    with RecommenderClient(running.address, timeout=SECONDS) as client:
        for step in range(100):
            action = chosen.random()
            if action < 0.04:
                item_id = chosen.choice(["b-1", "b-2", "i5", "i40"])
                title = chosen.choice(["teal rug", "red red", "blue mug"])
                attributes = {"colour": chosen.choice(["blue", "lime"])}
                client.catalog.upsert([Item(item_id=item_id, title=title, attributes=attributes)])
            elif action < 0.06:
                client.catalog.delete([chosen.choice(["b-1", "i5", "i41", "i60"])])
            elif action < 0.10:
                user, item = chosen.choice(["u1", "stranger"]), f"i{chosen.randrange(240)}"
                event = Event(user_id=user, item_id=item, action="purchase", time=step)
                client.feedback.record([event])
            elif action < 0.11:
                switch(chosen)
            request = random_request(chosen)
            answer = getattr(client, request.method.value)(request.shopper, request.wishes)
            recent, user_id = (), request.shopper.user_id
            if user_id is not None:
                recent = store.history(user_id, ["purchase", "buy", "view"], 1000)
            expected = computed(thread.engine, replace(request, recent=recent))
            assert [(i.item_id, i.title) for i in answer.items] == [
                (i.item_id, i.title) for i in expected.items
            ]
            scores = [item.score for item in expected.items]
            assert [i.score for i in answer.items] == pytest.approx(scores)
            assert (answer.basis, answer.unknown_user) == (expected.basis, expected.unknown_user)
            assert answer.versions == thread.engine.current.versions
            hits += from_cache(answer)

    assert hits > 5
    assert thread.engine.current.cache_lookups["shoppers"].hits > 0


def test_different_requests_with_one_history_embed_it_once(shop_server):
    running, _, _ = shop_server
    engine = running.server.engine.engine
    before = replace(engine.current.cache_lookups["shoppers"])
    with RecommenderClient(running.address, timeout=SECONDS) as client:
        client.recommend(Shopper(history=["i9", "i8"]), Wishes(limit=5))
        client.recommend(Shopper(history=["i9", "i8"]), Wishes(limit=6))
        client.retrieve(Shopper(history=["i9", "i8"]), Wishes(limit=6))
        client.catalog.upsert([Item(item_id="b-1", title="teal rug")])
        client.retrieve(Shopper(history=["i9", "i8"]), Wishes(limit=6))
        for _ in range(2):
            client.retrieve(Shopper(history=["i9", "b-1"]), Wishes(limit=6))

    after = engine.current.cache_lookups["shoppers"]
    assert (after.hits - before.hits, after.misses - before.misses) == (3, 2)

import random
import time
import urllib.request
from dataclasses import replace

import pytest

from events.open_store import open_store
from lineage.releases import live_release
from retrieval.embedding_cache import CacheConfig
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
NOW, LATER = object(), object()


@pytest.fixture
def cached(start, fake):
    running = start(lambda: fake, cache=CACHE, metrics_port=0)
    running.loaded.result(SECONDS)
    with RecommenderClient(running.address, timeout=SECONDS) as client:
        client.server = running.server
        yield client


def was_kept(answer):
    return list(answer.milliseconds) == ["cache"]


def test_the_same_question_is_answered_once_and_says_so(cached, fake):
    first = cached.recommend(Shopper(user_id="u"), Wishes(request_id="a"))
    second = cached.recommend(Shopper(user_id="u"), Wishes(request_id="b"))

    assert len(fake.calls) == 1
    assert (was_kept(first), was_kept(second)) == (False, True)
    assert second.request_id == "b"
    assert replace(second, milliseconds={}, request_id="a") == replace(first, milliseconds={})


def test_another_question_is_another(cached, fake):
    red = Filters(must=[AnyOf("new", [True])])
    one = Filters(must=[AnyOf("new", [1])])
    questions = [
        lambda: cached.recommend(Shopper(user_id="u")),
        lambda: cached.recommend(Shopper(user_id="v")),
        lambda: cached.recommend(Shopper(history=["u"])),
        lambda: cached.recommend(Shopper(history=["u", "v"])),
        lambda: cached.recommend(Shopper(history=["uv"])),
        lambda: cached.recommend(Shopper(history=["u"], history_times=[7])),
        lambda: cached.recommend(Shopper(user_id="u"), Wishes(limit=3)),
        lambda: cached.recommend(Shopper(user_id="u", search="u")),
        lambda: cached.recommend(Shopper(user_id="u"), Wishes(exclude=["u"])),
        lambda: cached.recommend(Shopper(user_id="u"), Wishes(filters=red)),
        lambda: cached.recommend(Shopper(user_id="u"), Wishes(filters=one)),
        lambda: cached.retrieve(Shopper(user_id="u")),
        lambda: cached.rank(["u"], Shopper()),
        lambda: cached.similar("u"),
    ]

    for ask in questions * 2:
        ask()

    assert len(fake.calls) == len(questions)


def test_after_a_change_everything_is_asked_anew(cached, fake):
    cached.recommend(Shopper(user_id="u"))
    fake.version_token = object()

    assert not was_kept(cached.recommend(Shopper(user_id="u")))
    assert was_kept(cached.recommend(Shopper(user_id="u")))


def test_what_was_asked_before_a_change_and_answered_after_it_is_not_kept(fake):
    kept, answer = AnswerCache(CACHE), pb.Answer(request_id="a")

    assert kept.get(b"k", NOW) is None
    assert kept.get(b"other", LATER) is None
    kept.put(b"k", NOW, answer)

    assert kept.get(b"k", LATER) is None


def test_an_answer_that_lacks_something_and_an_error_are_not_kept(cached, fake):
    whole, fake.answer = fake.answer, replace(fake.answer, degraded=Degraded.DEADLINE)
    assert cached.recommend(Shopper(user_id="u")).degraded
    fake.answer = whole
    assert not cached.recommend(Shopper(user_id="u")).degraded
    assert len(fake.calls) == 2


def test_memory_is_bounded_and_a_larger_answer_is_not_kept():
    kept = AnswerCache(CacheConfig(answers_mb=1))
    kept.get(b"", NOW)
    for number in range(300):
        kept.put(str(number).encode(), NOW, pb.Answer(request_id="x" * 10_000))
    kept.put(b"large", NOW, pb.Answer(request_id="x" * 1_000_000))

    there = [number for number in range(300) if kept.get(str(number).encode(), NOW)]
    assert 90 < len(there) < 100
    assert there[-1] == 299
    assert kept.get(b"large", NOW) is None


def test_nothing_is_kept_beyond_its_time():
    kept = AnswerCache(CacheConfig(seconds=0.05))
    kept.get(b"k", NOW)
    kept.put(b"k", NOW, pb.Answer())
    assert kept.get(b"k", NOW) is not None

    time.sleep(0.1)

    assert kept.get(b"k", NOW) is None


def test_a_key_hangs_on_what_the_user_did_and_not_on_the_name_of_the_request():
    def key(*did, name=""):
        events = [Event(user_id="u", item_id=i, action=a, time=t) for i, a, t in did]
        request = pb.RecommendRequest(
            shopper=pb.Shopper(user_id="u"), wishes=pb.Wishes(request_id=name)
        )
        return key_of(Method.RECOMMEND, request, events)

    buy = ("i1", "buy", 5)
    assert key(buy) == key(buy, name="n")
    others = [(), (buy, buy), (("i2", "buy", 5),), (("i1", "view", 5),), (("i1", "buy", 6),)]
    assert len({key(buy), *(key(*did) for did in others)}) == 6


def test_hits_and_misses_are_counted(cached):
    for _ in range(3):
        cached.recommend(Shopper(user_id="u"))

    url = f"http://127.0.0.1:{cached.server.metrics.port}/metrics"
    with urllib.request.urlopen(url, timeout=SECONDS) as response:
        text = response.read().decode()

    assert 'shortlist_cache_lookups_total{cache="answers",found="hit"} 2.0' in text
    assert 'shortlist_cache_lookups_total{cache="answers",found="miss"} 1.0' in text


@pytest.fixture
def shop_server(start, release, renamed, tmp_path):
    """A server of two releases that keeps answers, its store, and what makes another one live."""
    releases = tmp_path / "releases" / "shop"
    publish(renamed, releases, PublishConfig())
    publish(release, releases, PublishConfig())
    root = live_release(releases)
    store = open_store(str(tmp_path / "events.sqlite"))
    reloader = Reloader(root, lambda folder: LiveEngine.load(folder, CONFIG))
    running = start(lambda: LiveEngine.load(root, CONFIG), parts={"store": store}, cache=CACHE)
    running.loaded.result(SECONDS)
    names = [folder.name for folder in releases.iterdir() if folder.name[0].isdigit()]

    def another(chosen):
        roll_back(releases, chosen.choice(names))
        reloader.look(running.server.engine)

    yield running, store, another
    running.server.engine.engine.close()


def computed(engine, request):
    """What the engine makes of a request without anything that is kept."""
    cascade = engine.current.cascade
    retriever = replace(cascade.retriever, cache=None)
    plain = replace(engine.current, cascade=replace(cascade, retriever=retriever))
    ((_, answer),) = plain.answers([request])
    return answer


def question(chosen):
    """One request out of few."""
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


@pytest.mark.parametrize("seed", range(2))
def test_what_is_kept_is_what_would_have_been_computed(shop_server, seed):
    running, store, another = shop_server
    thread, chosen, hits = running.server.engine, random.Random(seed), 0
    with RecommenderClient(running.address, timeout=SECONDS) as client:
        for step in range(120):
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
                another(chosen)
            request = question(chosen)
            answer = getattr(client, request.method.value)(request.shopper, request.wishes)
            recent, user_id = (), request.shopper.user_id
            if user_id is not None:
                recent = store.history(user_id, ["purchase", "buy", "view"], 1000)
            right = computed(thread.engine, replace(request, recent=recent))
            assert [(i.item_id, i.title) for i in answer.items] == [
                (i.item_id, i.title) for i in right.items
            ]
            assert [i.score for i in answer.items] == pytest.approx([i.score for i in right.items])
            assert (answer.basis, answer.unknown_user) == (right.basis, right.unknown_user)
            assert answer.versions == thread.engine.current.versions
            hits += was_kept(answer)

    assert hits > 5
    assert thread.engine.current.cache_lookups["shoppers"].hits > 0


def test_another_question_about_the_same_history_reads_it_once(shop_server):
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

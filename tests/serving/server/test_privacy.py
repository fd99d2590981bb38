"""Users are exported and erased; every load of a release honours it."""

import time
from dataclasses import replace

import grpc
import pytest
import yaml

from dataset.arrays import StringColumn
from dataset.interaction_codes import whole_seconds
from events.event_store import StoreError
from events.open_store import open_store
from events.privacy.erased_users import FILE, ErasedUsers
from events.privacy.key_file import KeyFile, add_key
from retrieval.cache_config import CacheConfig
from serving.api.limits import Limits
from serving.engine.engine import Engine, EngineConfig
from serving.live.live_engine import LiveEngine
from serving.server.access.credentials import digest_of
from serving.server.users.events_config import EventsConfig
from serving.server.users.user_privacy import FOLLOW_SECONDS
from shortlist_client.api.answer import Basis
from shortlist_client.api.event import Event
from shortlist_client.api.privacy import Erased, PastInteraction
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.client import RecommenderClient

SECONDS = 20
CONFIG = EngineConfig(ranked=6, limits=Limits(shortlist=12))
EVENTS = EventsConfig()


@pytest.fixture
def store(root):
    return open_store(str(root / "events.sqlite"))


@pytest.fixture
def serving(start, root, base):
    """Starts a server of the release in `root`, with caches, and returns its client."""
    clients = []

    def serving(config=EVENTS):
        erased = config.erased(root)
        if config.user_key is None:  # the engine that is loaded, with the users erased in `root`
            catalogue = replace(base.cascade.catalogue, erased=erased)
            own = replace(base, cascade=replace(base.cascade, catalogue=catalogue))
            engine = LiveEngine(own, root)
        else:
            engine = LiveEngine.load(root, replace(CONFIG, user_key=config.user_key))
        parts = {"store": config.opened(root), "events": config, "erased": erased}
        running = start(lambda: engine, parts=parts, cache=CacheConfig())
        running.loaded.result(SECONDS)
        clients.append(RecommenderClient(running.address, timeout=SECONDS))
        return clients[-1]

    yield serving
    for client in clients:
        client.close()


@pytest.fixture
def client(serving):
    return serving()


def bought(user_id, item_id, **fields):
    return Event(user_id=user_id, item_id=item_id, action="purchase", **fields)


def is_unknown(client, user_id):
    answer = client.recommend(Shopper(user_id=user_id))
    assert answer.unknown_user == (answer.basis is Basis.POPULARITY)
    return answer.unknown_user


def test_an_erased_user_is_a_stranger_at_once_although_answers_are_cached(client, shop, root):
    past = len(shop.history(3, before=3))
    client.feedback.record([bought("u3", "i5"), bought("u4", "i5")])
    for user_id in ("u3", "u4"):
        assert not is_unknown(client, user_id)

    assert client.privacy.erase("u3") == Erased(events=1, interactions=past)

    assert is_unknown(client, "u3")
    assert not is_unknown(client, "u4")
    assert client.embed.shopper(Shopper(user_id="u3")).unknown_user
    assert list(client.privacy.export("u3")) == []
    assert client.privacy.erase("u3") == Erased(events=0, interactions=0)


def test_an_answer_from_before_the_erasure_is_not_repeated_from_the_cache(client):
    before = client.recommend(Shopper(user_id="u5"))
    assert list(client.recommend(Shopper(user_id="u5")).milliseconds) == ["cache"]

    client.privacy.erase("u5")

    after = client.recommend(Shopper(user_id="u5"))
    assert (before.unknown_user, after.unknown_user) == (False, True)


def test_every_later_load_honours_an_erasure(client, root):
    client.privacy.erase("u3")

    engine = Engine.load(root, CONFIG)

    assert engine.recommend(Shopper(user_id="u3")).unknown_user
    assert not engine.recommend(Shopper(user_id="u4")).unknown_user
    assert b"u3" not in (root / FILE).read_bytes()


def test_events_from_before_the_erasure_are_refused_when_they_are_sent_again(client):
    sent = [bought("u3", "i5", time=int(time.time()) - 60), bought("u4", "i5", time=1)]
    client.feedback.record(sent)
    client.privacy.erase("u3")

    again = client.feedback.record([*sent, bought("u3", "i6")])

    assert (again.recorded, again.known_before) == (1, 1)
    assert "time must be after the user's erasure" in again.rejected[0]
    assert [event.item_id for event in client.privacy.export("u3")] == ["i6"]


def test_an_erased_user_starts_anew(client, shop):
    client.privacy.erase("u3")

    client.feedback.record([bought("u3", "i5")])

    answer = client.recommend(Shopper(user_id="u3"), Wishes(explain=True, limit=3))
    assert answer.basis is Basis.HISTORY
    assert {reason.item_id for item in answer.items for reason in item.reasons} <= {"i5"}
    (stored,) = client.privacy.export("u3")
    assert stored.item_id == "i5"


def test_an_export_holds_events_of_every_action_and_the_history(client, shop):
    sent = [
        bought("u3", "i5", request_id="r", position=2),
        Event(user_id="u3", item_id="gone", action="impression", time=5),
    ]
    client.feedback.record([*sent, bought("u4", "i6")])

    exported = list(client.privacy.export("u3"))

    assert exported[:2] == sent
    span = slice(shop.offsets[3], shop.offsets[4])
    assert exported[2:] == [
        PastInteraction(item_id=f"i{row}", action=("", "buy", "view")[action], time=time)
        for row, action, time in zip(
            shop.items[span].tolist(),
            shop.actions[span].tolist(),
            whole_seconds(shop.times[span]).tolist(),
            strict=True,
        )
    ]


def test_a_long_export_comes_in_bounded_messages(client):
    long = "日" * 256
    sent = [
        bought(long, long, request_id=long, event_id=f"{n:03}" + "日" * 253) for n in range(450)
    ]
    for first in range(0, len(sent), 50):
        client.feedback.record(sent[first : first + 50])

    assert list(client.privacy.export(long)) == sent


def test_erasures_of_another_server_are_honoured_within_a_second(client, store, root):
    assert FOLLOW_SECONDS <= 0.5  # the machine may be busy
    assert not is_unknown(client, "u3")
    other = open_store(str(root / "events.sqlite"))

    from events.privacy.user_names import digest_of as erased_digest

    other.erase(["u3"], digest=erased_digest("u3"), at=int(time.time()))

    end = time.monotonic() + SECONDS
    while not is_unknown(client, "u3"):
        assert time.monotonic() < end
        time.sleep(0.05)
    other.close()


def test_a_server_learns_at_its_start_what_was_erased_while_it_was_down(serving, root):
    first = serving()
    first.privacy.erase("u3")
    (root / FILE).unlink()

    from events.privacy import erased_users

    erased_users._shared.cache_clear()
    assert is_unknown(serving(), "u3")
    assert ErasedUsers(root / FILE).until("u3") is not None


@pytest.mark.parametrize("user_id", ["", "x" * 257, "a\0b"])
def test_an_impossible_user_is_refused(client, user_id):
    for call in (client.privacy.erase, lambda user_id: list(client.privacy.export(user_id))):
        with pytest.raises(grpc.RpcError) as caught:
            call(user_id)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_store_that_is_away_promises_nothing(start, fake, root, monkeypatch, store):
    running = start(lambda: fake, parts={"store": store})
    running.loaded.result(SECONDS)

    def fail(*_, **__):
        raise StoreError("the store at /secret is away")

    monkeypatch.setattr(store, "erase", fail)
    monkeypatch.setattr(store, "export", fail)
    with RecommenderClient(running.address, timeout=SECONDS) as client:
        for call in (client.privacy.erase, lambda user_id: list(client.privacy.export(user_id))):
            with pytest.raises(grpc.RpcError) as caught:
                call("u3")
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            assert caught.value.details() == "the user's events are out of reach now"


def test_only_the_role_admin_may_export_and_erase(start, fake, store, tmp_path):
    roles = ["read", "feedback", "catalogue", "admin"]
    path = tmp_path / "clients.yaml"
    path.write_text(
        yaml.safe_dump([{"client": r, "sha256": digest_of(r).hex(), "roles": [r]} for r in roles])
    )
    running = start(lambda: fake, parts={"store": store}, tokens=path)
    running.loaded.result(SECONDS)

    refused = []
    for role in roles:
        with RecommenderClient(running.address, timeout=SECONDS, token=role) as client:
            for call in (client.privacy.erase, lambda u, c=client: list(c.privacy.export(u))):
                try:
                    call("u3")
                except grpc.RpcError as error:
                    refused.append((role, error.code().name))

    assert refused == [(role, "PERMISSION_DENIED") for role in roles[:3] for _ in range(2)]


@pytest.fixture
def keyed(root, build_release, tmp_path_factory, shop):
    """Configuration of keyed users, whose release holds their names."""
    path = root / "users.key"
    add_key(path)
    names = KeyFile(path).names
    data = replace(shop, user_ids=StringColumn.of([names.current(u) for u in shop.user_ids]))
    (root / "data").unlink()
    made = build_release(tmp_path_factory.mktemp("keyed") / "shop", data, epochs=1)
    for stage in ("data", "trial", "towers", "index", "ranker"):
        (root / stage).unlink(missing_ok=True)
        (root / stage).symlink_to(made / stage)
    return EventsConfig(user_ids="keyed", user_key=path)


@pytest.mark.slow
@pytest.mark.training
def test_keyed_users_are_served_exported_and_erased_and_no_file_holds_their_ids(
    serving, keyed, root, caplog
):
    caplog.set_level("DEBUG")
    client = serving(keyed)
    jane = "jane.doe@example.com"
    client.feedback.record([bought(jane, "i5", event_id="e"), bought("u3", "i5", event_id="f")])
    assert not is_unknown(client, "u3")
    assert not is_unknown(client, jane)
    (stored, *past) = client.privacy.export("u3")
    assert (stored.event_id, stored.user_id, len(past)) == ("f", "u3", 7)

    add_key(keyed.user_key)
    assert not is_unknown(client, "u3")
    client.privacy.erase("u3")

    assert is_unknown(client, "u3")
    assert client.privacy.erase(jane) == Erased(events=1, interactions=0)
    held = [path.read_bytes() for path in root.glob("*") if path.is_file()]
    assert not any(b"jane" in content for content in held)
    assert "jane" not in caplog.text


def test_an_export_ends_with_the_rights_of_its_client(start, fake, store, tmp_path, monkeypatch):
    monkeypatch.setattr("serving.server.interceptors.metering.RECHECK_SECONDS", 0.1)
    path = tmp_path / "clients.yaml"
    entry = {"client": "ops", "sha256": digest_of("t").hex(), "roles": ["admin"]}
    path.write_text(yaml.safe_dump([entry]))
    running = start(lambda: fake, parts={"store": store}, tokens=path)
    running.loaded.result(SECONDS)

    def endless(user_id):
        while True:
            time.sleep(0.001)
            yield bought(user_id, "i5")

    monkeypatch.setattr(store, "export", endless)
    with RecommenderClient(running.address, timeout=SECONDS, token="t") as client:
        exported = client.privacy.export("u3")
        assert next(exported).item_id == "i5"
        path.write_text(yaml.safe_dump([{**entry, "roles": ["read"]}]))
        with pytest.raises(grpc.RpcError) as caught:
            list(exported)

    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED

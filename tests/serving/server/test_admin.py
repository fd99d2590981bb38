import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import grpc
import pytest
import yaml

from events.open_store import open_store
from lineage.locking import changing
from lineage.releases import live_id, live_release, release_ids
from lineage.signing import SignatureError, read_signing_key, sign, write_keys
from serving.api.limits import Limits
from serving.engine.engine import EngineConfig
from serving.live.live_engine import LiveEngine
from serving.releases.publish import PublishConfig, publish, roll_back
from serving.releases.reloader import Reloader
from serving.server.access.credentials import digest_of
from shortlist_client.api.event import Event
from shortlist_client.api.item import Item
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.client import RecommenderClient

SECONDS = 60
CONFIG = EngineConfig(ranked=6, limits=Limits(shortlist=12))


class GatedLoad:
    """Loads releases once `gate` is open."""

    def __init__(self):
        self.started, self.gate = threading.Event(), threading.Event()
        self.gate.set()

    def __call__(self, root):
        self.started.set()
        assert self.gate.wait(SECONDS)
        return LiveEngine.load(root, CONFIG)


@pytest.fixture
def loading():
    return GatedLoad()


@pytest.fixture
def releases(tmp_path, release, renamed):
    """Folder of two releases; the newer one is live."""
    folder = tmp_path / "releases" / "shop"
    publish(renamed, folder, PublishConfig())
    publish(release, folder, PublishConfig())
    return folder


@pytest.fixture
def ids(releases):
    """Ids of the live release and of the previous one."""
    return release_ids(releases)


@pytest.fixture
def server(start, releases, loading, tmp_path):
    root = live_release(releases)
    parts = {
        "reloader": Reloader(root, loading),
        "store": open_store(str(tmp_path / "events.sqlite")),
    }
    running = start(lambda: LiveEngine.load(root, CONFIG), parts=parts)
    running.loaded.result(SECONDS)
    return running


@pytest.fixture
def client(server):
    with RecommenderClient(server.address, timeout=SECONDS) as client:
        yield client


def serving_id(client):
    return client.retrieve(Shopper(history=["i3"]), Wishes(limit=1)).versions["release"]


def refusal(call, *arguments, **options):
    """Status and message of a refused call."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **options)
    return caught.value.code().name, caught.value.details()


def damage(path):
    content = path.read_bytes()
    path.chmod(0o644)
    path.unlink()
    path.write_bytes(content[:-1])


def test_releases_are_listed_as_their_records_describe_them(client, releases, ids, shop):
    new, old = client.admin.releases()

    assert [new.release_id, old.release_id] == ids
    assert (new.live, new.serving, old.live, old.serving) == (True, True, False, False)
    assert (new.replaces, old.replaces) == (ids[1], None)
    assert new.items == len(shop.item_ids)
    assert 0.9 <= new.recall <= 1
    assert (
        new.bytes
        == sum(p.stat().st_size for p in (releases / ids[0]).rglob("*.*"))
        - (releases / ids[0] / "release.json").stat().st_size
    )
    assert f"{new.published:%Y%m%dT%H%M%S}" == ids[0][:15]


def test_a_release_with_a_damaged_record_is_listed_as_damaged(client, releases, ids):
    damage(releases / ids[1] / "release.json")

    new, old = client.admin.releases()

    assert (new.damaged, old.damaged) == (False, True)
    assert old.items is old.published is old.recall is None


def test_an_activated_release_is_live_and_serving_when_the_call_returns(client, releases, ids):
    active = client.admin.activate(ids[1])

    assert (active.release_id, active.live, active.serving) == (ids[1], True, True)
    assert live_id(releases) == serving_id(client) == ids[1]
    assert client.admin.activate(ids[1]).serving
    assert client.admin.activate(ids[0]).serving
    assert live_id(releases) == serving_id(client) == ids[0]


def test_rolling_back_activates_the_release_that_the_live_one_replaced(client, releases, ids):
    assert client.admin.roll_back().release_id == ids[1]
    assert live_id(releases) == serving_id(client) == ids[1]

    status, message = refusal(client.admin.roll_back)

    assert status == "FAILED_PRECONDITION"
    assert "replaced nothing" in message
    assert serving_id(client) == ids[1]


def test_loading_a_release_changes_nothing(client, server, releases, ids):
    engine = server.server.engine.engine

    loaded = client.admin.load(ids[1])

    assert (loaded.release_id, loaded.live, loaded.serving) == (ids[1], False, False)
    assert server.server.engine.engine is engine
    assert live_id(releases) == ids[0]


@pytest.mark.parametrize("call", ["load", "activate"])
def test_a_damaged_release_is_refused_and_nothing_changes(client, releases, ids, call):
    damage(releases / ids[1] / "data" / "manifest.json")

    status, message = refusal(getattr(client.admin, call), ids[1])

    assert status == "FAILED_PRECONDITION"
    assert "data/manifest.json" in message
    assert live_id(releases) == serving_id(client) == ids[0]


@pytest.mark.parametrize("call", ["load", "activate"])
def test_a_malformed_or_unknown_release_id_is_refused(client, call):
    activate = getattr(client.admin, call)

    assert refusal(activate, "../../etc")[0] == "INVALID_ARGUMENT"
    assert refusal(activate, "")[0] == "INVALID_ARGUMENT"
    assert refusal(activate, "20261125T025301.123Z-00000000")[0] == "NOT_FOUND"


def test_nothing_is_activated_while_another_process_changes_the_releases(client, releases, ids):
    with changing(releases):
        status, message = refusal(client.admin.activate, ids[1])

    assert status == "UNAVAILABLE"
    assert "is being changed by process" in message
    assert live_id(releases) == serving_id(client) == ids[0]
    assert client.admin.activate(ids[1]).serving


def test_a_release_not_loaded_by_the_deadline_does_not_go_live(client, loading, releases, ids):
    loading.gate.clear()

    status, _ = refusal(client.admin.activate, ids[1], timeout=0.3)
    assert status == "DEADLINE_EXCEEDED"
    loading.gate.set()

    assert client.admin.load(ids[1])  # runs after the activation
    assert live_id(releases) == serving_id(client) == ids[0]


def test_other_calls_are_answered_while_a_release_is_loaded(client, loading, ids):
    loading.gate.clear()
    with ThreadPoolExecutor() as pool:
        activating = pool.submit(client.admin.activate, ids[1])
        assert loading.started.wait(SECONDS)
        assert serving_id(client) == ids[0]
        assert len(client.admin.releases()) == 2
        assert client.admin.statistics().versions["release"] == ids[0]
        assert not activating.done()
        loading.gate.set()
        assert activating.result(SECONDS).serving


def test_items_upserted_before_and_after_an_activation_are_found(client, server, ids):
    client.catalog.upsert([Item(item_id="b-1", title="teal rug")])
    client.admin.activate(ids[1])
    client.catalog.upsert([Item(item_id="b-2", title="lime jar")])

    assert set(client.catalog.get(["b-1", "b-2"])) == {"b-1", "b-2"}
    server.server.engine.engine.close()


def test_statistics_count_items_events_and_calls(client, server, ids, shop):
    size = len(shop.item_ids)
    client.catalog.upsert([Item(item_id=name, title="teal rug") for name in ("b-1", "b-2", "i5")])
    client.catalog.delete(["i7", "i8", "b-2"])
    client.feedback.record([Event(user_id="u", item_id="i3", action="purchase")] * 2)
    for _ in range(3):
        client.retrieve(Shopper(history=["i3"]), Wishes(limit=1))
    refusal(client.retrieve, Shopper(history=["i3"]), Wishes(limit=0))

    statistics = client.admin.statistics()

    assert statistics.versions == client.retrieve(Shopper(history=["i3"]), Wishes(limit=1)).versions
    counts = statistics.counts
    assert (counts.items, counts.upserted, counts.deleted) == (size + 1 - 2, 2, 2)
    assert counts.journal_bytes > 0
    assert (statistics.events, statistics.waiting) == (1, 0)
    assert 0 < statistics.uptime_seconds < SECONDS
    assert 50e6 < statistics.memory_bytes < 50e9
    retrieve = statistics.methods["recommender.v1.RecommenderService/Retrieve"]
    assert retrieve.calls == {"OK": 3, "INVALID_ARGUMENT": 1}
    assert 0 < retrieve.p50_milliseconds <= retrieve.p99_milliseconds < 1e3 * SECONDS
    server.server.engine.engine.close()


def test_statistics_are_returned_although_events_cannot_be_counted(start, releases, tmp_path):
    store = open_store(str(tmp_path / "events.sqlite"))
    root = live_release(releases)
    running = start(lambda: LiveEngine.load(root, CONFIG), parts={"store": store})
    running.loaded.result(SECONDS)
    store.close()

    with RecommenderClient(running.address, timeout=SECONDS) as client:
        assert client.admin.statistics().events is None


def test_a_server_of_unpublished_stages_refuses_release_calls(start, release):
    running = start(lambda: LiveEngine.load(release, CONFIG))
    running.loaded.result(SECONDS)

    with RecommenderClient(running.address, timeout=SECONDS) as client:
        for call, *arguments in (
            (client.admin.releases,),
            (client.admin.load, "20261125T025301.123Z-00000000"),
            (client.admin.activate, "20261125T025301.123Z-00000000"),
            (client.admin.roll_back,),
        ):
            status, message = refusal(call, *arguments)
            assert status == "FAILED_PRECONDITION"
            assert "--releases" in message
        assert "release" not in client.admin.statistics().versions


def test_only_the_role_admin_may_list_releases(start, fake, tmp_path):
    clients = [
        {"client": role, "sha256": digest_of(role).hex(), "roles": [role]}
        for role in ("read", "catalogue", "feedback", "admin")
    ]
    path = tmp_path / "clients.yaml"
    path.write_text(yaml.safe_dump(clients))
    running = start(lambda: fake, tokens=path)
    running.loaded.result(SECONDS)

    for role in ("read", "catalogue", "feedback", "admin"):
        with RecommenderClient(running.address, timeout=SECONDS, token=role) as client:
            allowed = "FAILED_PRECONDITION" if role == "admin" else "PERMISSION_DENIED"
            assert refusal(client.admin.releases)[0] == allowed


def test_concurrent_activations_run_one_after_another(client, releases, ids):
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(client.admin.activate, ids * 2))

    assert [one.release_id for one in done] == ids * 2
    assert live_id(releases) == serving_id(client)


def test_a_server_with_keys_neither_loads_nor_activates_nor_follows_what_they_did_not_sign(
    start, releases, ids, tmp_path, caplog
):
    secret, public = write_keys(tmp_path / "shop")
    key, root = read_signing_key(secret), live_release(releases)
    config = replace(CONFIG, verify_keys=(public,))
    with pytest.raises(SignatureError, match=f"{ids[0]} must be signed"):
        LiveEngine.load(root, config)
    sign(root, key)
    reloader = Reloader(root, lambda folder: LiveEngine.load(folder, config))
    running = start(lambda: LiveEngine.load(root, config), parts={"reloader": reloader})
    running.loaded.result(SECONDS)
    with RecommenderClient(running.address, timeout=SECONDS) as client:
        for call in (client.admin.load, client.admin.activate):
            status, message = refusal(call, ids[1])
            assert status == "FAILED_PRECONDITION"
            assert f"{ids[1]} must be signed by one of the keys" in message
        assert refusal(client.admin.roll_back)[0] == "FAILED_PRECONDITION"
        assert live_id(releases) == ids[0]

        roll_back(releases)  # by someone who has no keys
        reloader.look(running.server.engine)
        assert serving_id(client) == ids[0]
        assert f"{ids[0]} goes on, {ids[1]} cannot be loaded" in caplog.text

        name = sign(releases / ids[1], key)
        assert [release.signed_by for release in client.admin.releases()] == [(name,), (name,)]
        client.admin.activate(ids[1])
        assert serving_id(client) == ids[1]

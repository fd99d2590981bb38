import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from events.open_store import open_store
from serving.live.live_engine import LiveEngine
from serving.server.interceptors.statuses import MESSAGE_BYTES
from shortlist_client.api.event import Event
from shortlist_client.api.filters import AnyOf, Filters
from shortlist_client.api.item import Item, KnownItem
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.client import RecommenderClient
from shortlist_client.proto.recommender.v1 import catalog_pb2 as pb
from shortlist_client.proto.recommender.v1.catalog_pb2_grpc import CatalogServiceStub
from shortlist_client.wire.catalog import item_message

SECONDS = 30


@pytest.fixture
def server(start, engine, root):
    running = start(lambda: engine, parts={"store": open_store(str(root / "events.sqlite"))})
    running.loaded.result(SECONDS)
    return running


@pytest.fixture
def client(server):
    with RecommenderClient(server.address, timeout=SECONDS) as client:
        yield client


@pytest.fixture
def channel(server):
    with grpc.insecure_channel(server.address) as channel:
        yield channel


def ids(answer):
    return [item.item_id for item in answer.items]


def message(*items):
    return pb.UpsertRequest(items=map(item_message, items))


def red(item_id, **fields):
    return Item(item_id=item_id, title="red shirt shirt", **fields)


def test_an_upserted_item_is_searchable_when_it_is_acknowledged(client):
    done = client.catalog.upsert([red("new", attributes={"price": 3, "colour": "red"})])

    assert (done.upserted, done.rejected) == (1, {})
    assert ids(client.recommend(Shopper(search="red shirt shirt"), Wishes(limit=3)))[0] == "new"
    priced = Filters(must=[AnyOf("price", [3])])
    assert "new" in ids(client.recommend(Shopper(search="red"), Wishes(filters=priced, limit=3)))


def test_messages_are_acknowledged_in_order_and_the_last_item_of_an_id_counts(channel, client):
    sizes = [1, 4, 2, 3] * 3
    messages = [
        message(*(Item(item_id=f"n{m}", title=f"form {n}") for m in range(size)))
        for n, size in enumerate(sizes)
    ]

    responses = list(CatalogServiceStub(channel).Upsert(iter(messages), timeout=SECONDS))

    assert [response.upserted for response in responses] == sizes
    titles = {i: known.item.title for i, known in client.catalog.get(["n0", "n3"]).items()}
    assert titles == {"n0": "form 11", "n3": "form 9"}


def test_waiting_items_are_upserted_together(channel, engine, monkeypatch):
    sizes, upsert, gate = [], engine.upsert, threading.Event()

    def counted(items):
        gate.wait(SECONDS)
        sizes.append(len(items))
        upsert(items)

    monkeypatch.setattr(engine, "upsert", counted)
    messages = [message(red(f"n{n}")) for n in range(8)]
    responses = CatalogServiceStub(channel).Upsert(iter(messages), timeout=SECONDS)
    time.sleep(0.3)
    gate.set()

    assert len(list(responses)) == 8
    assert len(sizes) == 2
    assert sum(sizes) == 8


def test_invalid_items_are_rejected_by_row_and_the_others_upserted(client):
    items = [
        red("a"),
        Item(item_id="b", title=" "),
        red("c", attributes={"weight": 3}),
        red("d", attributes={"price": "cheap"}),
        red("e", texts={"brand": {"name": "Acme"}}),
        red("f" * 257),
        red("g", attributes={"price": float("nan")}),
        red("h"),
    ]

    done = client.catalog.upsert(items)

    assert done.upserted == 2
    reasons = {row: reason[:24] for row, reason in done.rejected.items()}
    assert sorted(reasons) == [1, 2, 3, 4, 5, 6]
    assert reasons[1].startswith("title of 'b' must not")
    assert reasons[5].startswith("item_id must have 1 to")
    assert sorted(client.catalog.get([item.item_id for item in items[:5]])) == ["a"]


def test_an_item_comes_back_as_it_was_sent(client):
    sent = red(
        "new",
        texts={"brand": "Zoë", "category": ["a", "b"]},
        attributes={"price": 2.5, "new": True, "since": "2026-05-01T09:00+02:00"},
    )
    client.catalog.upsert([sent])

    found = client.catalog.get(["new", "nope", "i3"])

    assert found["new"] == KnownItem(item=sent, changed=True)
    assert (found["i3"].item.title, found["i3"].changed) == ("red chair", False)
    assert list(found) == ["new", "i3"]


def test_an_item_of_the_release_comes_back_as_its_data_stage_has_it(client):
    found = client.catalog.get(["i3"])["i3"]

    assert found == KnownItem(
        item=Item(
            item_id="i3",
            title="red chair",
            texts={"colour": "red", "thing": "chair"},
            attributes={"price": 3, "new": False, "since": "2024-01-04T00:00:00+00:00"},
        ),
        changed=False,
    )
    assert client.catalog.upsert([found.item]).rejected == {}
    assert client.catalog.get(["i3"])["i3"] == found
    assert client.admin.statistics().counts.journal_bytes < 100  # nothing was written
    priced = Filters(must=[AnyOf("price", [3]), AnyOf("colour", ["red"])])
    assert ids(client.recommend(Shopper(search="red"), Wishes(filters=priced, limit=3))) == ["i3"]


def test_whole_numbers_stay_whole(client):
    client.catalog.upsert([red("new", attributes={"price": 1995})])

    assert repr(client.catalog.get(["new"])["new"].item.attributes["price"]) == "1995"


def test_a_deleted_item_is_gone_and_can_be_deleted_again(client):
    client.catalog.upsert([red("new")])

    first = client.catalog.delete(["new", "i3", "nope"])
    again = client.catalog.delete(["new", "i3", "new"])

    assert (first.deleted, list(first.unknown_item_ids)) == (2, ["nope"])
    assert (again.deleted, list(again.unknown_item_ids)) == (0, ["new", "i3"])
    assert client.catalog.get(["new", "i3"]) == {}
    assert not {"new", "i3"} & set(
        ids(client.recommend(Shopper(search="red shirt"), Wishes(limit=12)))
    )


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda stub: stub.Delete(pb.DeleteRequest()), "item_ids must be 1 to 1,000 a message"),
        (lambda stub: stub.Get(pb.GetRequest()), "item_ids must be 1 to 1,000 a message, got 0"),
        (lambda stub: stub.Get(pb.GetRequest(item_ids=[""])), "item_id must have 1 to 256"),
        (lambda stub: list(stub.Upsert(iter([message()]))), "items must be 1 to 1,000 a message"),
    ],
)
def test_a_message_that_breaks_a_rule_is_refused(channel, call, expected):
    with pytest.raises(grpc.RpcError) as caught:
        call(CatalogServiceStub(channel))

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert expected in caught.value.details()


def test_items_are_refused_while_another_process_changes_them(start, base, root, caplog):
    other = LiveEngine(base, root)
    other.delete(["i0"])
    running = start(lambda: LiveEngine(base, root))
    running.loaded.result(SECONDS)
    assert "this server follows the item changes and refuses its own" in caplog.text
    client = RecommenderClient(running.address, timeout=SECONDS)

    with pytest.raises(grpc.RpcError) as caught:
        client.catalog.upsert([red("new")])

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "while another one writes the journal of its folder" in caught.value.details()
    assert "written by process" in caplog.text
    other.close()
    assert client.catalog.upsert([red("new")]).upserted == 1
    client.close()


def test_requests_are_answered_during_an_upsert(client, engine, monkeypatch):
    started, gate, upsert = threading.Event(), threading.Event(), engine.upsert

    def slow(items):
        started.set()
        gate.wait(SECONDS)
        upsert(items)

    monkeypatch.setattr(engine, "upsert", slow)
    with ThreadPoolExecutor() as pool:
        done = pool.submit(client.catalog.upsert, [red("new")])
        assert started.wait(SECONDS)
        assert client.recommend(Shopper(search="red"), Wishes(limit=3)).items
        assert client.catalog.get(["new"]) == {}
        gate.set()
        assert done.result().upserted == 1


def test_a_purchase_counts_in_the_next_answer(client, shop):
    before = client.recommend(Shopper(user_id="u4"), Wishes(limit=12))
    bought = before.items[0].item_id
    event = Event(user_id="u4", item_id=bought, action="buy")

    assert client.feedback.record([event]).recorded == 1
    assert client.feedback.record([event]).known_before == 1

    after = client.recommend(Shopper(user_id="u4"), Wishes(limit=12))
    assert bought not in ids(after)
    known = [f"i{row}" for row in shop.items[shop.offsets[4] : shop.offsets[5]]]
    assert not set(known) & set(ids(after))
    given = client.recommend(Shopper(history=[*known, bought]), Wishes(limit=12))
    assert set(ids(after)) & set(ids(given))


def test_a_stranger_is_known_after_the_first_purchase(client):
    assert client.recommend(Shopper(user_id="stranger"), Wishes(limit=3)).unknown_user
    client.feedback.record(
        [
            Event(user_id="stranger", item_id="nobody-knows", action="purchase", time=1),
            Event(user_id="stranger", item_id="i3", action="purchase", time=5),
            Event(user_id="stranger", item_id="i1", action="purchase", time=9),
        ]
    )

    answer = client.recommend(Shopper(user_id="stranger"), Wishes(limit=12))

    same = client.recommend(
        Shopper(history=["i3", "i1"], history_times=[5, 9], history_actions=["purchase"] * 2),
        Wishes(limit=12),
    )
    assert not answer.unknown_user
    assert answer.items == same.items
    assert answer.basis == same.basis


def test_a_purchase_of_a_new_item_counts(client):
    client.catalog.upsert([red("new")])
    client.feedback.record([Event(user_id="s", item_id="new", action="purchase")])

    answer = client.recommend(Shopper(user_id="s"), Wishes(limit=12))
    assert not answer.unknown_user
    assert "new" not in ids(answer)


def test_an_item_that_another_call_deletes_in_between_is_reported_as_unknown(client, monkeypatch):
    delete, others = LiveEngine.delete, [["i1"]]

    def after_another(engine, item_ids):
        if others:
            delete(engine, others.pop())
        delete(engine, item_ids)

    monkeypatch.setattr(LiveEngine, "delete", after_another)

    deleted = client.catalog.delete(["i1", "i2"])

    assert (deleted.deleted, list(deleted.unknown_item_ids)) == (1, ["i1"])
    assert client.catalog.get(["i1", "i2"]) == {}


def test_titles_and_texts_that_are_too_long_are_rejected_row_by_row(client):
    items = [
        Item(item_id="i1", title="t" * 2_049),
        Item(item_id="i2", title="é" * 1_024),
        Item(item_id="i3", title="t", texts={"brand": "b" * 16_385}),
        Item(item_id="i4", title="t", attributes={"a" * 257: 1}),
    ]

    result = client.catalog.upsert(items)

    assert result.upserted == 1
    assert "title of 'i1' must have at most 2,048 bytes, got 2,049" in result.rejected[0]
    assert "brand of 'i3' must have at most 16,384 bytes" in result.rejected[2]
    assert "must have at most 256 characters, got 257" in result.rejected[3]
    assert client.catalog.get(["i2"])["i2"].item.title == "é" * 1_024


def test_the_reason_of_a_rejected_item_is_cut(client):
    result = client.catalog.upsert([Item(item_id="i1", title=" " * 200_000)])

    assert result.rejected[0].startswith("title of 'i1' must not be empty")
    assert len(result.rejected[0].encode()) == MESSAGE_BYTES


def test_get_returns_items_that_are_together_too_large_for_one_answer(client, channel):
    large = {f"text_{n}": "x" * 15_000 for n in range(4)}
    items = [Item(item_id=f"i{row}", title="t", texts=large) for row in range(50)]
    assert client.catalog.upsert(items).upserted == 50

    found = client.catalog.get([item.item_id for item in items])

    assert {item_id: known.item.texts for item_id, known in found.items()} == {
        item.item_id: large for item in items
    }
    with pytest.raises(grpc.RpcError, match="must have at most 2,097,152 bytes"):
        CatalogServiceStub(channel).Get(
            pb.GetRequest(item_ids=[item.item_id for item in items]), timeout=SECONDS
        )

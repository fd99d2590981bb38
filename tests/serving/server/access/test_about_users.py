"""What a client may ask and learn about a user id."""

from dataclasses import replace

import grpc
import pytest

from retrieval.cache_config import CacheConfig
from serving.server.access.about_users import broken_user_rule
from serving.server.access.client import CLIENT, Client
from shortlist_client import Event
from shortlist_client.api.answer import Basis, Coverage, Reason
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.client import RecommenderClient

SECONDS = 10
READER, TRUSTED = ["read"], ["read", "explain"]


@pytest.fixture
def as_client(guarded, clients):
    """Function that returns a client with roles and other fields of its entry."""
    opened = []

    def as_client(roles, **fields):
        name = f"client{len(opened)}"
        clients.put(name, roles=roles, **fields)
        opened.append(RecommenderClient(guarded.address, token=name, timeout=SECONDS))
        return opened[-1]

    yield as_client
    for client in opened:
        client.close()


def streamed(client, shopper, wishes=Wishes()):
    ((_, answer),) = client.recommend_many([(shopper, wishes)])
    return answer


CALLS = {
    "recommend": lambda client, shopper, *wishes: client.recommend(shopper, *wishes),
    "retrieve": lambda client, shopper, *wishes: client.retrieve(shopper, *wishes),
    "rank": lambda client, shopper, *wishes: client.rank(["50"], shopper, *wishes),
    "stream": streamed,
}


def refusal(call, *arguments):
    """The message of a call that is refused with PERMISSION_DENIED, as a call or as a row."""
    try:
        answer = call(*arguments)
        code, message = answer.code, answer.message
    except grpc.RpcError as error:
        code, message = error.code(), error.details()
    assert code is grpc.StatusCode.PERMISSION_DENIED
    return message


def public(answer):
    """An answer without its times."""
    return replace(answer, milliseconds={})


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_reader_gets_the_items_but_not_what_they_rest_on(as_client, fake, call):
    answer = call(as_client(READER), Shopper(user_id="u"))

    assert [(item.item_id, item.title, item.score) for item in answer.items] == [
        (item.item_id, item.title, item.score) for item in fake.answer.items
    ]
    assert answer.basis is Basis.WITHHELD
    assert answer.coverage == Coverage(corpus=0, searched=0, recalled=0, ranked=0)
    assert set(answer.milliseconds) <= {"total", "queue", "cache"}
    for item in answer.items:
        assert (item.tower_score, item.neighbour_score, item.ranker_score) == (None, None, None)
        assert (item.sources, item.shortlist_rank, item.probability) == ((), None, None)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_to_a_reader_a_known_and_an_unknown_user_look_alike(as_client, fake, call):
    client = as_client(READER)
    known = public(call(client, Shopper(user_id="u")))
    items = [
        replace(
            item,
            sources=(),
            tower_score=None,
            neighbour_score=None,
            shortlist_rank=None,
            probability=None,
        )
        for item in fake.answer.items
    ]
    fake.answer = replace(
        fake.answer, items=items, basis=Basis.POPULARITY, unknown_user=True, milliseconds={}
    )

    assert public(call(client, Shopper(user_id="u"))) == known


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    ("roles", "shopper"),
    [
        (TRUSTED, Shopper(user_id="u")),
        (READER, Shopper(user_id="u", history=["50"])),
        (READER, Shopper()),
    ],
    ids=["trusted", "history", "stranger"],
)
def test_nothing_is_withheld_of_what_the_client_may_know(as_client, fake, call, roles, shopper):
    fake.answer = replace(fake.answer, unknown_user=shopper.user_id is not None)
    answer = call(as_client(roles), shopper)

    assert answer.items == fake.answer.items
    assert (answer.basis, answer.coverage) == (fake.answer.basis, fake.answer.coverage)
    assert answer.unknown_user == fake.answer.unknown_user


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    "wishes", [Wishes(explain=True), Wishes(explain_texts=True), Wishes(min_probability=0.1)]
)
def test_explaining_a_user_id_needs_the_role(as_client, fake, call, wishes):
    shopper, reader = Shopper(user_id="u"), as_client(READER)
    item = replace(fake.answer.items[0], reasons=(Reason(item_id="7", contribution=1.0),))
    fake.answer = replace(fake.answer, items=[item])

    assert "'explain'" in refusal(call, reader, shopper, wishes)
    assert not fake.calls

    assert call(as_client(TRUSTED), shopper, wishes).items == [item]
    assert call(reader, replace(shopper, history=["50"]), wishes).items == [item]


def test_embedding_a_user_id_needs_the_role(as_client):
    reader = as_client(READER)

    assert "'explain'" in refusal(reader.embed.shopper, Shopper(user_id="u"))

    as_client(TRUSTED).embed.shopper(Shopper(user_id="u"))
    reader.embed.shopper(Shopper(user_id="u", history=["50"]))
    reader.embed.texts(["a"])


def test_the_profile_of_a_user_id_needs_the_role(as_client, fake):
    reader = as_client(READER)

    assert "'explain'" in refusal(reader.profile, Shopper(user_id="u"))
    assert not fake.calls

    as_client(TRUSTED).profile(Shopper(user_id="u"))
    reader.profile(Shopper(user_id="u", history=["50"]))


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_client_asks_only_about_its_own_users(as_client, fake, call):
    client = as_client(TRUSTED, users=["eu-", "uk-"])
    for shopper in (Shopper(user_id="us-1"), Shopper(user_id="us-1", history=["50"])):
        assert "'eu-' or 'uk-'" in refusal(call, client, shopper)
    assert not fake.calls

    call(client, Shopper(user_id="eu-1"))
    call(client, Shopper(history=["50"]))


def test_a_client_without_users_names_none(as_client):
    client = as_client(TRUSTED, users=[])

    assert "must be absent" in refusal(client.recommend, Shopper(user_id="u"))
    assert "must be absent" in refusal(client.embed.shopper, Shopper(user_id="u"))
    assert "must be absent" in refusal(client.profile, Shopper(user_id="u"))
    client.recommend(Shopper(history=["50"]))


def purchase(event_id, user_id):
    return Event(event_id=event_id, user_id=user_id, item_id="i", action="purchase", time=100)


def test_a_client_records_only_events_of_its_own_users(as_client, store):
    report = as_client(["feedback"], users="eu-").feedback.record(
        [purchase("a", "eu-1"), purchase("b", "us-1"), purchase("c", "eu-2")]
    )

    assert report.recorded == 2
    assert report.rejected == {1: "user_id must begin with 'eu-'"}
    assert {event.user_id for event in store.scan()} == {"eu-1", "eu-2"}


def test_events_beyond_a_users_day_are_rejected_and_those_sent_again_are_free(as_client, store):
    feedback = as_client(["feedback"], user_events_per_day=6).feedback
    first = [purchase(f"first{number}", "u") for number in range(3)]
    assert feedback.record(first).recorded == 3
    assert feedback.record(first).known_before == 3
    assert feedback.record([purchase(f"then{number}", "u") for number in range(3)]).recorded == 3

    report = feedback.record([purchase("more", "u"), purchase("other", "v")])

    assert report.recorded == 1
    assert report.rejected == {
        0: "events of a user must be at most 6 a day from one client, got more"
    }
    assert [event.user_id for event in store.scan()] == ["u"] * 6 + ["v"]


def test_an_operator_exports_and_erases_only_its_own_users(as_client, fake, store):
    fake.past = lambda user_id: []
    everybody = as_client(["feedback", "admin"])
    everybody.feedback.record([purchase("a", "eu-1"), purchase("b", "us-1")])
    privacy = as_client(["admin"], users="eu-").privacy

    assert [event.user_id for event in privacy.export("eu-1")] == ["eu-1"]
    assert privacy.erase("eu-1").events == 1
    for call in (privacy.erase, lambda user_id: list(privacy.export(user_id))):
        with pytest.raises(grpc.RpcError) as refused:
            call("us-1")
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert [event.user_id for event in store.scan()] == ["us-1"]


def test_without_clients_everything_is_told(client, fake):
    fake.answer = replace(fake.answer, unknown_user=True)

    answer = client.recommend(Shopper(user_id="u"), Wishes(explain=True))

    assert answer.unknown_user
    assert answer.items == fake.answer.items


def test_what_is_withheld_from_one_client_is_cached_for_another(start, fake, clients):
    running = start(lambda: fake, tokens=clients.path, cache=CacheConfig())
    running.loaded.result(SECONDS)
    clients.put("reader", roles=READER)
    clients.put("trusted", roles=TRUSTED)
    answers = []
    for name in ("reader", "trusted", "reader"):
        with RecommenderClient(running.address, token=name, timeout=SECONDS) as client:
            answers.append(client.recommend(Shopper(user_id="u")))

    assert len(fake.calls) == 1
    assert [answer.basis for answer in answers] == [
        *(Basis.WITHHELD, Basis.HISTORY, Basis.WITHHELD)
    ]
    assert answers[1].items == fake.answer.items


def test_an_item_is_nobodys_history(as_client, fake):
    assert as_client(READER, users=[]).similar("50").items == fake.answer.items


def test_outside_of_calls_every_user_may_be_named():
    assert broken_user_rule("u") is None
    token = CLIENT.set(Client(name="c", roles=frozenset(), users=("a",)))
    assert broken_user_rule("u") is not None
    CLIENT.reset(token)

import json
import time

import pytest

from events.event import GRACE
from events.privacy.erased_users import FILE, ErasedUsers
from events.privacy.key_file import KeyFile, read_keys
from events.privacy.user_names import digest_of, length_of
from serving.__main__ import main
from serving.server.users.events_config import EventsConfig
from shortlist_client.api.event import Event
from shortlist_client.api.privacy import PastInteraction


def event(event_id, user_id="u3"):
    return Event(event_id=event_id, user_id=user_id, item_id="i", action="view", time=5)


def printed(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_user_is_exported_and_erased_without_a_server(root, store, shop, capsys):
    store.append([event("a"), event("b", "u4")])

    main(["export", "--user", "u3", "--artifacts", str(root)])
    first, *past = printed(capsys)
    assert (first["stored_in"], first["event_id"], first["action"]) == ("event", "a", "view")
    assert [f"i{row}" for row in shop.history(3, before=3)] == [row["item_id"] for row in past]
    assert {row["stored_in"] for row in past} == {"release"}

    main(["erase", "--user", "u3", "--artifacts", str(root)])
    main(["export", "--user", "u3", "--artifacts", str(root)])

    assert printed(capsys) == []
    assert [stored.event_id for stored in store.scan()] == ["b"]
    until = ErasedUsers(root / FILE).until("u3")
    assert abs(until - time.time() - GRACE) < 60


def test_an_export_of_events_brings_erasures_to_the_folder_of_the_rebuild(root, store, tmp_path):
    store.erase(["u3"], digest=digest_of("u3"), at=1_000)  # by a server with another folder

    table = str(tmp_path / "events.parquet")
    main(["export-events", "--artifacts", str(root), "--output", table])

    assert ErasedUsers(root / FILE).until("u3") == 1_000 + GRACE
    assert ErasedUsers(root / FILE).until("u4") is None


def test_a_user_is_exported_and_erased_by_a_server(start, fake, store, capsys):
    fake.pasts = {"u3": [PastInteraction(item_id="i7", action="buy", time=None)]}
    server = start(lambda: fake, parts={"store": store, "events": EventsConfig()})
    server.loaded.result(10)
    store.append([event("a")])

    main(["export", "--user", "u3", "--target", server.address])
    assert [row.get("event_id", row["item_id"]) for row in printed(capsys)] == ["a", "i7"]
    main(["erase", "--user", "u3", "--target", server.address])

    assert store.count() == 0
    assert len(store.erasures()) == 1


def test_a_key_is_made_and_rotated_and_users_keep_their_events(root, store, capsys):
    store.append([event("a"), event("b", "u4")])
    key = str(root / "users.key")
    keyed = ["--events.user_ids", "keyed", "--events.user_key", key]
    base = ["--artifacts", str(root), *keyed]

    for keys in (1, 2):
        main(["rotate-key", *base])
        assert len(read_keys(root / "users.key")) == keys
        assert [length_of(stored.user_id) for stored in store.scan()] == [keys, keys]
        main(["export", "--user", "u3", *base])
        assert [row["event_id"] for row in printed(capsys) if row["stored_in"] == "event"] == ["a"]

    main(["rotate-key", "--only", "add", *base])
    assert {length_of(stored.user_id) for stored in store.scan()} == {2}
    main(["rotate-key", "--only", "rename", *base])
    assert {length_of(stored.user_id) for stored in store.scan()} == {3}
    assert len(KeyFile(root / "users.key").names.keys) == 3


def test_keyed_users_need_a_key_file_and_plain_ones_have_none(root, capsys):
    for options in (
        ["--events.user_ids", "keyed"],
        ["--events.user_key", str(root / "users.key")],
    ):
        with pytest.raises(SystemExit):
            main(["export", "--user", "u", "--artifacts", str(root), *options])
        assert "user_key must be a file with keyed user_ids" in capsys.readouterr().err


def test_a_missing_key_file_names_the_command_that_makes_it(root, capsys):
    keyed = ["--events.user_ids", "keyed", "--events.user_key", str(root / "none")]

    with pytest.raises(SystemExit):
        main(["export", "--user", "u", "--artifacts", str(root), *keyed])

    assert "make it with `python -m serving rotate-key`" in capsys.readouterr().err

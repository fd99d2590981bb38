"""A keyed store behaves like the store below it, and holds no id."""

import subprocess
import sys

import pytest

from events.event import Outcome
from events.open_store import open_store
from events.privacy.erased_users import ErasedUsers
from events.privacy.key_file import KeyFile, add_key
from events.privacy.keyed_store import KeyedStore
from events.privacy.rotation import prolong
from events.privacy.user_names import digest_of, length_of

RECORDED, REPEATED, CONFLICT = Outcome.RECORDED, Outcome.REPEATED, Outcome.CONFLICT
ACTIONS = ("purchase",)


@pytest.fixture
def keys(tmp_path):
    add_key(tmp_path / "users.key")
    return KeyFile(tmp_path / "users.key")


@pytest.fixture
def few_a_transaction(monkeypatch):
    monkeypatch.setattr("events.privacy.rotation.RENAMED", 3)


@pytest.fixture
def keyed(store, keys):
    return KeyedStore(store, keys)


def names(events):
    return [event.event_id for event in events]


def erased(keyed, keys, user_id, at=5):
    return keyed.erase([user_id], digest=digest_of(keys.names.current(user_id)), at=at)


def test_the_store_below_holds_names_alone(keyed, store, event):
    keyed.append([event("a", user_id="jane"), event("b", user_id="joan")], clients=["x", "y"])

    assert [length_of(stored.user_id) for stored in store.scan()] == [1, 1]
    assert names(keyed.history("jane", ACTIONS, 9)) == ["a"]
    assert list(keyed.export("jane")) == [event("a", user_id="jane")]
    assert keyed.append([event("a", user_id="jane")], clients=["x"]) == [REPEATED]
    assert keyed.append([event("a", user_id="joan")], clients=["x"]) == [CONFLICT]


def test_who_knows_a_name_cannot_read_by_it(keyed, store, event):
    keyed.append([event("a", user_id="jane")])
    (stored,) = store.scan()

    assert keyed.history(stored.user_id, ACTIONS, 9) == []
    assert list(keyed.export(stored.user_id)) == []


def test_between_a_new_key_and_the_renaming_every_event_is_found_and_known(keyed, keys, event):
    keyed.append([event("a", time=1), event("b", time=3)])
    add_key(keys.path)
    keyed.append([event("c", time=2)])

    assert names(keyed.history("u", ACTIONS, 9)) == ["a", "c", "b"]
    assert names(keyed.history("u", ACTIONS, 2)) == ["c", "b"]
    outcomes = keyed.append([event("d"), event("a"), event("c"), event("b", item_id="j")])
    assert outcomes == [RECORDED, REPEATED, REPEATED, CONFLICT]
    assert erased(keyed, keys, "u") == (4, 0)


def test_plain_events_are_found_once_users_are_keyed(store, keyed, event):
    store.append([event("a")])

    assert names(keyed.history("u", ACTIONS, 9)) == ["a"]
    assert keyed.append([event("a")]) == [REPEATED]


@pytest.mark.usefixtures("few_a_transaction")
def test_prolonging_renames_every_user_once_and_changes_no_history(
    store, keyed, keys, event, tmp_path
):
    store.append([event("plain", user_id="u0")])
    keyed.append([event(f"e{n}", user_id=f"u{n % 10}", time=n) for n in range(50)])
    before = {n: names(keyed.history(f"u{n}", ACTIONS, 99)) for n in range(10)}
    users = ErasedUsers(tmp_path / "ERASED", keys)
    erased(keyed, keys, "u9")
    users.add({erasure.digest: erasure.time for erasure in store.erasures()})
    add_key(keys.path)

    assert prolong(store, users, keys.names) == 11  # u0 had two names, and u9 is an erasure
    assert prolong(store, users, keys.names) == 0

    assert {length_of(stored.user_id) for stored in store.scan()} == {2}
    assert {n: names(keyed.history(f"u{n}", ACTIONS, 99)) for n in range(9)} == {
        n: before[n] for n in range(9)
    }
    assert [length_of(erasure.digest) for erasure in store.erasures()] == [2]
    again = ErasedUsers(tmp_path / "ERASED", keys)
    assert [length_of(digest) for digest in again.digests] == [2]
    assert again.until("u9") == 5 + 86_400


ROTATE = """
import os, sys
from pathlib import Path
import events.privacy.rotation as rotation
from events.open_store import open_store
from events.privacy.erased_users import ErasedUsers
from events.privacy.key_file import KeyFile, add_key

address, key, kill_after = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
rotation.RENAMED = 3
store = open_store(address)
add_key(key)
rename, calls = store.rename, []

def killed(names):
    renamed = rename(names)
    calls.append(1)
    if len(calls) == kill_after:
        os.kill(os.getpid(), 9)
    return renamed

store.rename = killed
if not kill_after:
    os.kill(os.getpid(), 9)
rotation.prolong(store, ErasedUsers(), KeyFile(key).names)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kill_after", [0, 1, 3])
def test_a_rotation_that_was_killed_loses_nothing_and_can_be_finished(
    address, opened, keys, event, kill_after
):
    store = opened()
    keyed = KeyedStore(store, keys)
    keyed.append([event(f"e{n}", user_id=f"u{n % 10}", time=n) for n in range(50)])
    before = [names(keyed.history(f"u{n}", ACTIONS, 99)) for n in range(10)]

    command = [sys.executable, "-c", ROTATE, address, str(keys.path), str(kill_after)]
    assert subprocess.run(command, check=False).returncode == -9

    assert [names(keyed.history(f"u{n}", ACTIONS, 99)) for n in range(10)] == before
    assert prolong(store, ErasedUsers(), keys.names) == 10 - 3 * kill_after
    assert {length_of(stored.user_id) for stored in store.scan()} == {2}
    assert [names(keyed.history(f"u{n}", ACTIONS, 99)) for n in range(10)] == before
    assert open_store(address).count() == 50


def test_an_older_copy_of_the_key_file_is_not_used_under_a_server(keys, keyed, event, caplog):
    """Else the user's newest events would be found no more, and survive an erasure."""
    older = keys.path.read_text()
    add_key(keys.path)
    keyed.append([event("a", user_id="jane")])
    keys.path.write_text(older)

    for _ in range(3):
        assert names(keyed.history("jane", ACTIONS, 9)) == ["a"]
    keys.path.unlink()
    for _ in range(3):
        assert names(keyed.history("jane", ACTIONS, 9)) == ["a"]

    assert caplog.text.count("must begin with the 2 keys that were read before") == 1
    assert caplog.text.count("the keys read before stay in use") == 2

"""Erasures reach the releases beside a store, and stores that lack them."""

import pytest

from events.event import GRACE
from events.event_store import Erasure
from events.privacy.erased_users import ErasedUsers
from events.privacy.erasure import carry_erasures, erase_user
from events.privacy.key_file import KeyFile, add_key
from events.privacy.keyed_store import KeyedStore
from events.privacy.user_names import digest_of


@pytest.fixture(params=["plain", "keyed"])
def kept(request, store, tmp_path):
    """A store and the erased users beside it, with plain or keyed names."""
    if request.param == "plain":
        return store, ErasedUsers(tmp_path / "ERASED")
    add_key(tmp_path / "users.key")
    keys = KeyFile(tmp_path / "users.key")
    return KeyedStore(store, keys), ErasedUsers(tmp_path / "ERASED", keys)


def names(events):
    return [event.event_id for event in events]


def test_an_erasure_is_in_the_store_and_beside_the_releases(kept, event, tmp_path):
    store, erased = kept
    store.append([event("a"), event("b", user_id="v")])

    assert erase_user(store, erased, "u", at=100) == (1, 0)

    assert erased.until("u") == 100 + GRACE
    assert erased.until("v") is None
    assert [erasure.time for erasure in store.erasures()] == [100]


def test_erasures_are_carried_once_each(kept, tmp_path):
    store, erased = kept
    there = ErasedUsers(tmp_path / "OTHER", erased._keys)
    assert carry_erasures(store, there) is None
    erase_user(store, erased, "u", at=100)
    last = carry_erasures(store, there)
    assert there.until("u") == 100 + GRACE
    version = there.version

    assert carry_erasures(store, there, last=last) == last
    assert there.version == version
    erase_user(store, erased, "v", at=101)
    assert carry_erasures(store, there, last=last).sequence > last.sequence
    assert there.until("v") == 101 + GRACE
    assert len(store.erasures()) == 2


@pytest.mark.parametrize("last", [None, Erasure(sequence=7, digest="", time=9)])
def test_a_store_that_was_brought_back_from_a_copy_is_erased_again(kept, event, last):
    store, erased = kept
    store.append([event("a"), event("b", user_id="v")])
    erase_user(LostStore(), erased, "u", at=100)

    last = carry_erasures(store, erased, last=last)

    assert names(store.scan()) == ["b"]
    assert [erasure.time for erasure in store.erasures()] == [100]
    store.append([event("c")])
    assert carry_erasures(store, erased, last=last) == last
    assert carry_erasures(store, erased) == last
    assert names(store.scan()) == ["b", "c"]  # the user started anew


def test_a_restored_store_with_as_many_erasures_as_before_is_noticed(kept, event):
    """Another user was erased from it before this process looked again."""
    store, erased = kept
    store.append([event("a"), event("b", user_id="v")])
    erase_user(LostStore(), erased, "u", at=100)
    last = Erasure(sequence=1, digest=digest_of(erased.names.current("u")), time=100)
    store.erase(["v"], digest=digest_of(erased.names.current("v")), at=101)

    carry_erasures(store, erased, last=last)

    assert erased.until("v") == 101 + GRACE
    assert names(store.scan()) == []


def test_a_rotation_that_was_killed_takes_nothing_from_a_user_who_came_back(store, event, tmp_path):
    path = tmp_path / "users.key"
    add_key(path)
    keys = KeyFile(path)
    kept, erased = KeyedStore(store, keys), ErasedUsers(tmp_path / "ERASED", keys)
    erase_user(kept, erased, "u", at=100)
    add_key(path)
    digest = store.erasures()[0].digest
    store.rename({digest: keys.names.prolonged(digest)})  # the first batch
    store.append([event("not yet renamed", user_id=digest)])

    carry_erasures(store, erased)

    assert names(kept.export("u")) == ["not yet renamed"]


class LostStore:
    """A store that is lost after the erasure."""

    def erase(self, user_ids, *, digest, at):
        return 1

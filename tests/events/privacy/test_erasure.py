"""Erasures reach the releases beside a store, and stores that lack them."""

import pytest

from events.event import GRACE
from events.privacy.erased_users import ErasedUsers
from events.privacy.erasure import carry_erasures, erase_user
from events.privacy.key_file import KeyFile, add_key
from events.privacy.keyed_store import KeyedStore


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

    assert erase_user(store, erased, "u", at=100) == 1

    assert erased.until("u") == 100 + GRACE
    assert erased.until("v") is None
    assert [erasure.time for erasure in store.erasures()] == [100]


def test_erasures_are_carried_once_each(kept, tmp_path):
    store, erased = kept
    there = ErasedUsers(tmp_path / "OTHER", erased._keys)
    assert carry_erasures(store, there, after=0) == 0
    erase_user(store, erased, "u", at=100)
    last = carry_erasures(store, there, after=0)
    assert there.until("u") == 100 + GRACE
    version = there.version

    assert carry_erasures(store, there, after=last) == last
    assert there.version == version
    erase_user(store, erased, "v", at=101)
    assert carry_erasures(store, there, after=last) > last
    assert there.until("v") == 101 + GRACE
    assert len(store.erasures()) == 2


@pytest.mark.parametrize("after", [0, 7])
def test_a_store_that_was_brought_back_from_a_copy_is_erased_again(kept, event, after):
    store, erased = kept
    store.append([event("a"), event("b", user_id="v")])
    erase_user(LostStore(), erased, "u", at=100)

    last = carry_erasures(store, erased, after=after)

    assert names(store.scan()) == ["b"]
    assert [erasure.time for erasure in store.erasures()] == [100]
    store.append([event("c")])
    assert carry_erasures(store, erased, after=last) == last
    assert carry_erasures(store, erased, after=0) == last
    assert names(store.scan()) == ["b", "c"]  # the user started anew


class LostStore:
    """A store that is lost after the erasure."""

    def erase(self, user_ids, *, digest, at):
        return 1

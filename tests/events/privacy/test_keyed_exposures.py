"""Exposures of keyed users are found by id, and no id is stored."""

import pytest

from events.privacy.erased_users import ErasedUsers
from events.privacy.erasure import carry_erasures, erase_user
from events.privacy.key_file import KeyFile, add_key
from events.privacy.keyed_store import KeyedStore
from events.privacy.rotation import prolong
from events.privacy.user_names import length_of
from shortlist_client.api.exposure import Exposure


def shown(request_id, user_id, time=100):
    return Exposure(
        request_id=request_id,
        time=time,
        user_id=user_id,
        method="recommend",
        item_ids=("i",),
        scores=(1.0,),
    )


@pytest.fixture
def keys(tmp_path):
    add_key(tmp_path / "users.key")
    return KeyFile(tmp_path / "users.key")


@pytest.fixture
def keyed(store, keys):
    return KeyedStore(store, keys)


@pytest.fixture
def erased(keys, tmp_path):
    return ErasedUsers(tmp_path / "ERASED", keys)


def test_the_store_below_holds_names_alone_and_strangers_stay_strangers(keyed, store):
    keyed.exposures.append([shown("a", "jane"), shown("b", ""), shown("c", "joan")])

    assert [length_of(one.user_id) for one in store.exposures.scan()] == [1, 0, 1]
    assert [one.user_id for one in store.exposures.scan()][1] == ""
    assert list(keyed.exposures.of_user("jane")) == [shown("a", "jane")]
    assert keyed.exposures.count() == 3


def test_a_rotation_renames_users_of_exposures_alone_too(keyed, store, keys, erased):
    keyed.exposures.append([shown("a", "jane"), shown("b", "")])
    add_key(keys.path)
    keyed.exposures.append([shown("c", "jane")])

    found = [one.request_id for one in keyed.exposures.of_user("jane")]
    renamed = prolong(store, erased, keys.names)

    assert (found, renamed) == (["a", "c"], 1)
    assert [length_of(one.user_id) for one in store.exposures.scan()] == [2, 0, 2]
    assert [one.request_id for one in keyed.exposures.of_user("jane")] == ["a", "c"]
    assert prolong(store, erased, keys.names) == 0


def test_an_erasure_covers_every_name_and_what_was_still_in_a_queue(keyed, keys, erased):
    keyed.exposures.append([shown("a", "jane")])
    add_key(keys.path)
    keyed.exposures.append([shown("b", "jane")])

    assert erase_user(keyed, erased, "jane", at=100) == (0, 2)

    add_key(keys.path)  # the queue is written by the newest key
    late = [shown("c", "jane"), shown("d", "jane", time=101), shown("e", "")]
    digests = [erased.digests_of("jane"), erased.digests_of("jane"), ()]
    assert keyed.exposures.append(late, digests=digests) == 2
    assert [one.request_id for one in keyed.exposures.scan()] == ["e", "d"]


def test_a_store_from_a_copy_loses_the_exposures_of_erased_users_again(keyed, store, erased):
    erase_user(keyed, erased, "jane", at=100)
    # as an older copy: it knows of no erasure
    store.rename({erasure.digest: "of another store" for erasure in store.erasures()})
    keyed.exposures.append([shown("a", "jane"), shown("b", "joan")])

    carry_erasures(keyed, erased)

    assert [one.request_id for one in keyed.exposures.scan()] == ["b"]

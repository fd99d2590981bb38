import hashlib
import hmac

import pytest

from events.privacy.key_file import KeyFile, add_key, read_keys
from events.privacy.user_names import PLAIN, KeysError, UserNames, digest_of, length_of

OLD, NEW = b"o" * 32, b"n" * 32


def test_without_keys_a_name_is_the_id():
    assert PLAIN.current("jane") == "jane"
    assert PLAIN.all("jane") == ("jane",)


def test_a_name_is_the_hash_by_the_new_key_of_the_hash_by_the_old_key():
    inner = hmac.digest(OLD, "Zoë".encode(), hashlib.sha256)
    outer = hmac.digest(NEW, inner, hashlib.sha256)

    assert UserNames(keys=[OLD]).current("Zoë").endswith(f":{inner.hex()}")
    assert UserNames(keys=[OLD, NEW]).current("Zoë").endswith(f":{outer.hex()}")


def test_a_prolonged_name_is_the_name_by_all_keys():
    names = UserNames(keys=[OLD, NEW])

    for earlier in ("jane", UserNames(keys=[OLD]).current("jane"), names.current("jane")):
        assert names.prolonged(earlier) == names.current("jane")
    assert names.all("jane") == (
        "jane",
        UserNames(keys=[OLD]).current("jane"),
        names.current("jane"),
    )


def test_a_name_tells_the_length_of_its_chain_and_nothing_of_the_id():
    for length in range(3):
        name = UserNames(keys=[OLD, NEW][:length]).current("jane@example.com")
        assert length_of(name) == length
        assert ("jane" in name) == (length == 0)


def test_names_of_other_keys_are_refused():
    other = UserNames(keys=[NEW]).current("jane")

    with pytest.raises(KeysError, match=r"made 'key1\.[0-9a-f]{8}', got 'key1\."):
        UserNames(keys=[OLD]).prolonged(other)
    with pytest.raises(KeysError, match="no key file"):
        PLAIN.require(other)
    PLAIN.require("jane")


def test_who_knows_a_name_cannot_ask_by_it():
    names = UserNames(keys=[OLD])
    seen = names.current("jane")

    assert seen not in names.all(seen)
    assert names.current(seen) != seen


def test_digests_differ_by_user_and_hold_no_id():
    assert digest_of("jane") != digest_of("joan")
    assert "jane" not in digest_of("jane")
    name = UserNames(keys=[OLD]).current("jane")
    assert digest_of(name) == name


def test_a_key_file_is_made_for_its_owner_alone_and_keeps_its_keys(tmp_path):
    path = tmp_path / "users.key"

    assert add_key(path) == 1
    (first,) = read_keys(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert add_key(path) == 2

    assert read_keys(path)[0] == first
    assert len(set(read_keys(path))) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["users.key"]


def test_a_changed_key_file_is_read_again_and_a_broken_one_changes_nothing(tmp_path, caplog):
    path = tmp_path / "users.key"
    add_key(path)
    keys = KeyFile(path)
    before = keys.names.current("jane")

    add_key(path)
    after = keys.names.current("jane")
    path.write_text("{")

    assert length_of(before), length_of(after) == (1, 2)
    assert keys.names.current("jane") == after
    assert "the keys read before stay in use" in caplog.text


@pytest.mark.parametrize("content", ["", "{}", '{"keys": []}', '{"keys": ["00"]}', '{"keys": [1]}'])
def test_an_unreadable_key_file_is_refused(tmp_path, content):
    path = tmp_path / "users.key"
    path.write_text(content)

    with pytest.raises(KeysError, match=str(path)):
        KeyFile(path)


def test_a_missing_key_file_names_the_command_that_makes_it(tmp_path):
    with pytest.raises(KeysError, match="python -m serving rotate-key"):
        KeyFile(tmp_path / "none")

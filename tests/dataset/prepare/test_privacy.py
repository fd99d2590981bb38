"""Erased users are left out of a rebuild, and users may be named by keys."""

import json

import pytest

from dataset.__main__ import main
from dataset.arrays import load_dataset
from dataset.config import DataConfig
from dataset.prepare.build import build, is_current
from dataset.prepare.privacy import PrivacyFiles
from dataset.prepare.sources import shop_folder
from events.event import GRACE
from events.privacy.erased_users import ErasedUsers
from events.privacy.key_file import KeyFile, add_key
from events.privacy.user_names import KeysError, digest_of, length_of

DAY = 86_400
LATER = 10 * DAY
CONFIG = DataConfig(earliest="1970-01-01")


@pytest.fixture
def folder(make_folder):
    """u bought a and b early and c late; v only early; w only late."""
    return make_folder(
        events={
            "user_id": ["u", "u", "u", "v", "v", "w", "w"],
            "item_id": ["a", "b", "c", "a", "b", "c", "d"],
            "timestamp": [1, 2, LATER, 3, 4, LATER, LATER + 1],
        }
    )


@pytest.fixture
def erased(tmp_path):
    """Writes the file of users who were erased at time 5."""

    def erased(*names, keys=None):
        path = tmp_path / "ERASED"
        ErasedUsers(path, keys).add({digest_of(name): 5 for name in names})
        return path

    return erased


@pytest.fixture
def key(tmp_path):
    add_key(tmp_path / "users.key")
    return tmp_path / "users.key"


def built(folder, tmp_path, **files):
    build(CONFIG, shop_folder(folder), tmp_path / "data", PrivacyFiles(**files))
    data = load_dataset(tmp_path / "data")
    return {
        user: [data.item_ids[item] for item in data.history(row, before=3)]
        for row, user in enumerate(data.user_ids)
    }


def test_what_an_erased_user_did_before_is_left_out(folder, erased, tmp_path):
    assert built(folder, tmp_path)["u"] == ["a", "b", "c"]

    histories = built(folder, tmp_path, erased=erased("u", "v", "stranger"))

    assert histories == {"u": ["c"], "w": ["c", "d"]}
    (step,) = [
        step
        for step in json.loads((tmp_path / "data" / "cleaning.json").read_text())
        if step["rule"] == "erased user"
    ]
    assert step["dropped"] == 4


def test_an_event_ahead_of_the_clock_is_left_out_too(make_folder, erased, tmp_path):
    times = [5 + GRACE, 5 + GRACE + 1, 5 + GRACE + 2]
    folder = make_folder(
        events={"user_id": ["u"] * 3, "item_id": ["a", "b", "c"], "timestamp": times}
    )

    assert built(folder, tmp_path, erased=erased("u")) == {"u": ["b", "c"]}


def test_without_times_all_of_an_erased_user_is_left_out(make_folder, erased, tmp_path):
    folder = make_folder(events={"timestamp": None, "order": [1, 2, 3, 4, 5, 6, 7]})

    assert "u" not in built(folder, tmp_path, erased=erased("u"))


def test_the_stage_is_out_of_date_once_another_user_is_erased(folder, erased, tmp_path):
    files = PrivacyFiles(erased=erased("u"))
    build(CONFIG, shop_folder(folder), tmp_path / "data", files)

    assert is_current(CONFIG, shop_folder(folder), tmp_path / "data", files)
    erased("v")
    assert not is_current(CONFIG, shop_folder(folder), tmp_path / "data", files)


def test_keyed_users_keep_their_histories_and_no_file_holds_an_id(make_folder, key, tmp_path):
    ids = ["jane.doe@example.com"] * 3 + ["joan"] * 2
    columns = {"item_id": ["a", "b", "c", "a", "d"], "timestamp": [1, 2, 3, 4, 5]}
    folder = make_folder(events={"user_id": ids, **columns})

    histories = built(folder, tmp_path, user_key=key)

    names = KeyFile(key).names
    assert histories == {names.current(ids[0]): ["a", "b", "c"], names.current("joan"): ["a", "d"]}
    held = [path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert not any(b"jane" in content for content in held)


def test_ids_and_names_of_one_user_are_one_user(make_folder, key, tmp_path):
    first = KeyFile(key).names.current("u")
    add_key(key)
    columns = {"item_id": ["a", "b", "c"], "timestamp": [1, 2, 3]}
    second = KeyFile(key).names.current("u")
    folder = make_folder(events={"user_id": ["u", first, second], **columns})

    assert built(folder, tmp_path, user_key=key) == {second: ["a", "b", "c"]}
    assert length_of(second) == 2


def test_keyed_users_are_left_out_under_any_of_their_names(make_folder, key, erased, tmp_path):
    keys = KeyFile(key)
    first = keys.names.current("u")
    add_key(key)
    columns = {"item_id": ["a", "b", "c", "d"], "timestamp": [1, 2, 3, 4]}
    folder = make_folder(events={"user_id": ["u", first, keys.names.current("u"), "v"], **columns})

    for name in (first, keys.names.current("u")):
        path = erased(name, keys=keys)
        assert list(built(folder, tmp_path, erased=path, user_key=key)) == [keys.names.current("v")]
        path.unlink()


def test_names_without_their_keys_are_refused(make_folder, key, tmp_path):
    name = KeyFile(key).names.current("u")
    folder = make_folder(
        events={"user_id": [name] * 3, "item_id": ["a", "b", "c"], "timestamp": [1, 2, 3]}
    )

    with pytest.raises(KeysError, match="no key file"):
        built(folder, tmp_path)


def test_the_command_takes_both_files_and_names_a_missing_one(
    folder, key, erased, tmp_path, capsys
):
    base = ["--dataset", str(folder), "--artifacts", str(tmp_path / "artifacts")]
    base += ["--earliest", "1970-01-01"]

    main([*base, "--erased", str(erased("u")), "--user_key", str(key)])
    users = load_dataset(tmp_path / "artifacts" / "shop" / "data").user_ids
    assert {length_of(user) for user in users} == {1}
    with pytest.raises(SystemExit):
        main([*base, "--erased", str(tmp_path / "none")])

    assert "erased must be a file, got" in capsys.readouterr().err


def test_keyed_erasures_without_their_keys_are_refused(folder, key, erased, tmp_path):
    keys = KeyFile(key)
    path = erased(keys.names.current("u"), keys=keys)

    with pytest.raises(KeysError, match="no key file"):
        built(folder, tmp_path, erased=path)

"""A table of users: read, checked, named and erased like their interactions."""

from datetime import date

import polars as pl
import pytest

from dataset.arrays import load_dataset
from dataset.config import DataConfig
from dataset.postings import KeywordPostings
from dataset.prepare.build import build, is_current
from dataset.prepare.check import check_source
from dataset.prepare.privacy import PrivacyFiles
from dataset.prepare.sources import shop_folder
from dataset.prepare.validation import InputError
from dataset.user_columns import load_user_columns
from events.privacy.erased_users import ErasedUsers
from events.privacy.key_file import KeyFile, add_key
from events.privacy.user_names import digest_of
from lineage.manifest import read_manifest

PLAIN = DataConfig()
USERS = {
    "user_id": ["w", "u", "x"],
    "age": [30, None, 90],
    "city": ["Ulm", "Köln", "Ulm"],
    "vip": [True, False, False],
    "since": [date(2020, 1, 1), date(2021, 1, 1), None],
}


def built(folder, tmp_path, config=PLAIN, **files):
    build(config, shop_folder(folder, config), tmp_path / "data", PrivacyFiles(**files))
    return values_of(tmp_path / "data")


def values_of(stage):
    """Values of each column by user."""
    ids = load_dataset(stage).user_ids
    found = {}
    for name, (_, postings) in load_user_columns(stage).items():
        if isinstance(postings, KeywordPostings):
            places, numbers = postings.values_of(pl.arange(0, len(ids), eager=True).to_numpy())
            pairs = zip(places, (postings.values[number] for number in numbers), strict=True)
        else:
            pairs = zip(postings.item_rows, postings.values, strict=True)
        found[name] = {ids[int(row)]: value for row, value in pairs}
    return found


def test_columns_are_kept_of_the_users_who_have_interactions(make_folder, tmp_path):
    found = built(make_folder(users=USERS), tmp_path)

    assert found["age"] == {"w": 30}
    assert found["city"] == {"u": "Köln", "w": "Ulm"}
    assert found["vip"] == {"u": "false", "w": "true"}
    assert set(found["since"]) == {"u", "w"}
    facts = read_manifest(tmp_path / "data", "data").facts
    assert facts["user columns"] == {
        "age": "number", "city": "keyword", "vip": "boolean", "since": "time",
    }  # fmt: skip
    assert any(note.startswith("2 of 3 users are in the table") for note in facts["notes"])


def test_without_a_table_there_are_no_columns(make_folder, tmp_path):
    assert built(make_folder(), tmp_path) == {}


def test_a_changed_table_makes_the_stage_outdated(make_folder, tmp_path):
    folder, config = make_folder(users=USERS), DataConfig()
    built(folder, tmp_path)

    assert is_current(config, shop_folder(folder), tmp_path / "data")
    make_folder(users={**USERS, "age": [31, None, 90]})
    assert not is_current(config, shop_folder(folder), tmp_path / "data")


def test_the_table_is_found_and_mapped_under_other_names(make_folder, tmp_path):
    folder = make_folder()
    (folder / "customers.csv").write_text("Customer;AgeGroup\nu;18-30\nw;\n")
    config = DataConfig(users="customers.csv", columns={"Customer": "user_id", "AgeGroup": "age"})

    assert built(folder, tmp_path, config) == {"age": {"u": "18-30"}}


@pytest.mark.parametrize(
    ("users", "rule"),
    [
        ({"age": [1]}, "column 'user_id' must exist"),
        ({"user_id": ["u", "u"]}, "column 'user_id' must be unique"),
        ({"user_id": ["u", None], "age": [1, 2]}, "column 'user_id' must not be null or empty"),
    ],
)
def test_a_broken_rule_is_named(make_folder, users, rule):
    folder = make_folder(users=users)

    with pytest.raises(InputError, match=rule):
        build(DataConfig(), shop_folder(folder), folder / "data")
    assert any(rule in line for line in check_source(str(folder), folder, DataConfig()).broken)


def test_texts_that_tell_single_users_apart_are_not_kept(make_folder, tmp_path):
    ids = ["u", "v", "w", *map(str, range(17))]
    users = {"user_id": ids, "mail": [f"{i}@shop.example" for i in ids], "sex": ["f", "m"] * 10}

    found = built(make_folder(users=users), tmp_path)

    assert set(found) == {"sex"}
    held = [path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert not any(b"@shop.example" in content for content in held)


def test_check_says_what_each_column_is_used_for(make_folder):
    folder = make_folder(users={**USERS, "mixed": [[1], [2], []]})

    report = check_source(str(folder), folder, DataConfig())

    uses = {column.name: column.use for column in report.tables["users"].columns}
    assert uses["user_id"] == "user"
    assert uses["city"] == "group (keyword)"
    assert uses["mixed"].startswith("not used")
    assert not report.broken


def test_an_erased_user_has_no_columns_even_after_coming_back(make_folder, tmp_path):
    ErasedUsers(tmp_path / "ERASED").add({digest_of("u"): 5})

    found = built(make_folder(users=USERS), tmp_path, erased=tmp_path / "ERASED")

    assert "u" in list(load_dataset(tmp_path / "data").user_ids)  # interactions after the erasure
    assert found["city"] == {"w": "Ulm"}


def test_keyed_users_keep_their_columns_and_no_file_holds_an_id(make_folder, tmp_path):
    add_key(tmp_path / "users.key")
    names = KeyFile(tmp_path / "users.key").names
    ids = ["jane.doe@example.com"] * 3 + ["v"] * 3 + ["w"]
    users = {"user_id": [ids[0], names.current("w")], "city": ["Ulm", "Köln"]}
    folder = make_folder(events={"user_id": ids}, users=users)

    found = built(folder, tmp_path, user_key=tmp_path / "users.key")

    assert found["city"] == {names.current(ids[0]): "Ulm", names.current("w"): "Köln"}
    held = [path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert not any(b"jane" in content for content in held)

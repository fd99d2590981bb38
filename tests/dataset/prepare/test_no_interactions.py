"""A shop without interactions is built from its items; a file that is misnamed is asked about."""

from datetime import time

import polars as pl
import pytest

from dataset.arrays import load_dataset
from dataset.config import NOTES, DataConfig
from dataset.prepare.build import build
from dataset.prepare.check import check_source
from dataset.prepare.privacy import PrivacyFiles
from dataset.prepare.sources import open_source
from dataset.prepare.validation import InputError
from events.privacy.erased_users import ErasedUsers
from events.privacy.user_names import digest_of
from lineage.manifest import read_manifest

EVENTS = "interactions.parquet"
SAID = "there are no interactions"


def emptied(folder):
    pl.read_parquet(folder / EVENTS).clear().write_parquet(folder / EVENTS)


def header_only(folder):
    (folder / EVENTS).unlink()
    (folder / "interactions.csv").write_text("user_id,item_id,timestamp,split\n")


def absent(folder):
    (folder / EVENTS).unlink()
    (folder / "readme.txt").write_text("Nothing was sold yet.")


@pytest.mark.parametrize("without", [emptied, header_only, absent])
@pytest.mark.parametrize("split", ["auto", "time-cut", "leave-one-out"])
def test_a_shop_without_interactions_builds_and_says_so_once(
    make_folder, tmp_path, without, split, caplog
):
    folder = make_folder()
    without(folder)
    caplog.set_level("INFO")

    build(DataConfig(split=split), open_source(str(folder)), tmp_path / "data")

    data = load_dataset(tmp_path / "data")
    assert (len(data.item_ids), data.users, len(data.items)) == (4, 0, 0)
    assert not data.popularity.any()
    assert not len(data.cases("test"))
    assert caplog.text.count(SAID) == 1
    (note,) = read_manifest(tmp_path / "data", "data").facts[NOTES]
    assert note.startswith(SAID)
    assert "put interactions.parquet or interactions.csv beside the items" in note


def test_a_check_warns_of_a_shop_without_interactions(make_folder):
    folder = make_folder()
    absent(folder)

    report = check_source(str(folder), folder, DataConfig())

    assert not report.broken
    assert report.items == 4
    assert [warning for warning in report.warnings if SAID in warning]


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("interactions-0.parquet", "`interactions: interactions-*.parquet`"),
        ("sales.csv", "`interactions: sales.csv`"),
        ("Interactions.PARQUET", "`interactions: Interactions.PARQUET`"),
        ("interactions.xlsx", "put interactions.parquet or interactions.csv there"),
        ("sales/part-0.parquet", "put interactions.parquet or interactions.csv there"),
    ],
)
def test_a_file_that_may_hold_the_interactions_is_not_overlooked(make_folder, name, remedy):
    folder = make_folder()
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / EVENTS).rename(folder / name)

    with pytest.raises(InputError, match="interactions must exist") as caught:
        open_source(str(folder))

    assert str(caught.value).endswith(remedy)


def test_interactions_that_are_named_must_exist(make_folder):
    folder = make_folder()
    (folder / EVENTS).unlink()

    with pytest.raises(InputError, match="the file must exist, got none"):
        open_source(str(folder), config=DataConfig(interactions="sales.csv"))


def test_a_shop_whose_only_users_are_erased_still_rebuilds(make_folder, tmp_path):
    folder, erased = make_folder(), tmp_path / "ERASED"
    ErasedUsers(erased, None).add({digest_of(name): 1_900_000_000 for name in "uvw"})

    build(DataConfig(), open_source(str(folder)), tmp_path / "data", PrivacyFiles(erased=erased))

    assert load_dataset(tmp_path / "data").users == 0


@pytest.mark.parametrize(
    ("column", "remedy"),
    [
        ({"timestamp": None}, "number each user's rows from the oldest in 'order'"),
        ({"timestamp": [time(8, 30)] * 7}, "write date and time"),
    ],
)
def test_interactions_without_usable_times_are_refused_with_a_remedy(
    make_folder, tmp_path, column, remedy
):
    with pytest.raises(InputError, match=remedy):
        build(DataConfig(), open_source(str(make_folder(events=column))), tmp_path / "out")

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from dataset.arrays import TEST, TRAIN, VALID, load_dataset
from dataset.baskets import Baskets
from dataset.config import DataConfig
from dataset.prepare.build import build
from dataset.prepare.privacy import PrivacyFiles
from dataset.prepare.sources import open_source
from dataset.prepare.validation import InputError
from events.privacy.key_file import add_key
from lineage.manifest import read_manifest

START = 1_700_000_000
EVENTS = {
    "user_id": ["u", "u", None, None, "v", "v", None, "u"],
    "item_id": ["a", "b", "b", "a", "b", "a", "c", "d"],
    "timestamp": [START + second for second in (1, 20, 5, 5, 10, 30, 25, 40)],
    "basket": ["1", "2", "3", "3", "4", "5", "6", "7"],
    "action": ["buy", "view", "view", "buy", "buy", "buy", "buy", "buy"],
}
CUT = {"valid_share": 0.2, "test_share": 0.2, "split": "time-cut"}


@pytest.fixture
def built(make_folder, tmp_path):
    def run(events=None, items=None, privacy=None, **options):
        rows = pl.DataFrame({k: v for k, v in {**EVENTS, **(events or {})}.items() if v})
        folder = make_folder(items, rows)
        config = DataConfig(**options)
        source = open_source(str(folder), config=config)
        report = build(config, source, tmp_path / "data", privacy or PrivacyFiles())
        return load_dataset(tmp_path / "data"), report

    return run


def baskets(data):
    """Item ids and splits of each basket without a user."""
    found = data.purchases_without_user
    return sorted(
        sorted(
            (data.item_ids[found.items[at]], int(found.splits[at]))
            for at in range(found.offsets[basket], found.offsets[basket + 1])
        )
        for basket in range(len(found))
    )


def test_rows_without_a_user_are_baskets_and_no_users(built, tmp_path):
    data, report = built(**CUT)

    assert set(data.user_ids) == {"u", "v"}
    assert len(data.items) == 5
    assert [[item for item, _ in basket] for basket in baskets(data)] == [["a", "b"], ["c"]]
    steps = {(step.table, step.rule): step.rows for step in report}
    assert steps["interactions", "no user, kept as baskets"] == 3
    facts = read_manifest(tmp_path / "data", "data").facts
    assert facts["without user"] == {"baskets": 2, "train": 3, "valid": 0, "test": 0}
    assert "3 rows without a user are 2 baskets" in facts["notes"][0]


def test_a_basket_counts_as_one_more_user_in_the_popularity(built):
    data, _ = built(**CUT)
    alone = replace(data, purchases_without_user=Baskets()).popularity_before(VALID)

    more = dict(zip(data.item_ids, (data.popularity - alone).tolist(), strict=True))
    assert more == {"a": 1, "b": 0.125, "c": 1, "d": 0}  # b was viewed
    names = ["", *data.action_names]
    assert [names[code] for code in data.purchases_without_user.actions.tolist()].count("view") == 1


def test_baskets_are_split_at_the_times_that_split_the_users(built):
    data, _ = built({"timestamp": [START + s for s in (1, 20, 29, 30, 10, 30, 40, 40)]}, **CUT)

    assert data.times[data.splits == VALID].min() == (START + 30) * 1_000_000
    assert baskets(data) == [[("a", VALID), ("b", TRAIN)], [("c", TEST)]]


def test_a_stated_split_is_that_of_the_baskets_too(built):
    stated = ["train", "valid", "test", "train", "train", "test", "valid", "test"]
    data, _ = built({"split": stated})

    assert baskets(data) == [[("a", TRAIN), ("b", TEST)], [("c", VALID)]]


def test_all_baskets_are_learnt_where_each_users_last_moment_is_held_out(built):
    data, _ = built(split="leave-one-out")

    assert {split for basket in baskets(data) for _, split in basket} == {TRAIN}


def test_the_refit_learns_the_baskets_of_the_validation(built):
    data, _ = built({"timestamp": [START + s for s in (1, 20, 29, 30, 10, 30, 40, 40)]}, **CUT)

    assert baskets(data.for_refit()) == [[("a", TRAIN), ("b", TRAIN)], [("c", TEST)]]


def test_duplicates_and_unknown_items_leave_the_baskets_and_are_counted(built):
    item_ids = ["a", "b", "a", "a", "b", "a", "gone", "d"]
    moment = [START + second for second in (1, 20, 5, 5, 10, 30, 25, 40)]
    data, report = built({"item_id": item_ids, "timestamp": moment, "action": None}, **CUT)

    assert [[item for item, _ in basket] for basket in baskets(data)] == [["a"]]
    rules = {step.rule: step.rows for step in report if step.table == "baskets"}
    assert rules == {"exact duplicate": 1, "unknown item": 1}


@pytest.mark.parametrize("empty", [None, "", "  "])
def test_an_empty_user_is_none(built, empty):
    data, _ = built({"user_id": [user or empty for user in EVENTS["user_id"]]}, **CUT)

    assert set(data.user_ids) == {"u", "v"}
    assert len(data.purchases_without_user) == 2


def test_users_as_numbers_may_be_missing_as_pandas_writes_them(built):
    numbers = [1.0, 1.0, float("nan"), float("nan"), 2.0, 2.0, None, 1.0]
    data, _ = built({"user_id": numbers}, **CUT)

    assert set(data.user_ids) == {"1", "2"}
    assert len(data.purchases_without_user) == 2


def test_without_a_basket_a_missing_user_is_refused_with_the_remedy(built):
    remedy = r"not be null or empty, got 3 rows .*if `columns` maps its column to 'basket'"
    with pytest.raises(InputError, match=remedy):
        built({"basket": None})


def test_the_basket_of_the_file_is_offered_before_the_loss_of_rows(built):
    with pytest.raises(InputError) as caught:
        built({"basket": None, "Belegnummer": EVENTS["basket"]})

    said = str(caught.value)
    first, second = said.index("map 'Belegnummer' to 'basket'"), said.index("or lose 3 rows by")
    assert first < second
    assert "adding `no user_id: user_id IS NULL` to `drop`" in said
    assert "`columns: {Belegnummer: basket}`" in said.splitlines()[-1]
    assert "drop: {" not in said


def test_a_row_with_neither_user_nor_basket_is_refused(built):
    with pytest.raises(
        InputError, match=r"'user_id' must not be .* without a basket, got 1 row that breaks it"
    ):
        built({"basket": ["1", "2", None, "3", "4", "5", "6", "7"]})


def test_without_such_rows_there_are_no_baskets(built):
    data, report = built({"user_id": list("uuwwvvwu")}, **CUT)

    assert len(data.purchases_without_user) == 0
    assert all(step.table != "baskets" for step in report)


def test_privacy_leaves_the_baskets_alone(built, tmp_path):
    add_key(tmp_path / "key")

    data, _ = built(privacy=PrivacyFiles(user_key=tmp_path / "key"), **CUT)

    assert len(data.user_ids) == 2
    assert np.diff(data.purchases_without_user.offsets).sum() == 3


def test_the_order_of_rows_changes_nothing(make_folder, tmp_path):
    files = []
    for seed in range(2):
        rows = pl.DataFrame(EVENTS).sample(fraction=1, shuffle=True, seed=seed)
        source = open_source(str(make_folder(events=rows, name=f"s{seed}")))
        build(DataConfig(**CUT), source, tmp_path / f"out{seed}")
        files.append(read_manifest(tmp_path / f"out{seed}", "data").files)

    assert files[0] == files[1]


def test_a_basket_is_refunded_within_itself_also_by_an_action_that_no_user_does(built):
    """Basket 3 brings back item a in the second of its purchase."""
    columns = zip(*EVENTS.values(), strict=True)
    rows = [*columns, (None, "a", START + 5, "3", "cancel"), (None, "c", START + 6, "8", "cancel")]
    events = dict(zip(EVENTS, map(list, zip(*rows, strict=True)), strict=True))

    data, _ = built(events, **CUT)

    stands = data.bought_without_user(TEST + 1)
    found = data.purchases_without_user.items[stands].tolist()
    assert sorted(data.item_ids[row] for row in found) == ["b", "c"]
    assert "cancel" in data.action_names
    sold = data.demand().between(np.arange(4), 0, START + 100)
    assert dict(zip(data.item_ids, sold.tolist(), strict=True)) == {"a": 2, "b": 1, "c": 1, "d": 1}

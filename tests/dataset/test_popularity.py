from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from dataset.arrays import TEST, TRAIN, VALID, load_dataset
from dataset.config import DataConfig
from dataset.popularity import first_of_day
from dataset.prepare.build import build
from dataset.prepare.sources import shop_folder

DAY = 86_400


def test_a_user_item_action_and_day_count_once():
    rng = np.random.default_rng(0)
    rows = [rng.integers(size, size=5_000) for size in (9, 12, 3, 6 * DAY)]
    users, items, actions, times = rows

    first = first_of_day(users, items, actions, times)

    seen, expected = set(), []
    for user, item, action, time in zip(*(row.tolist() for row in rows), strict=True):
        expected.append((user, item, action, time // DAY) not in seen)
        seen.add((user, item, action, time // DAY))
    np.testing.assert_array_equal(first, expected)


def test_without_times_every_user_counts_once_for_each_item_and_action():
    users, items, actions = np.array([0, 0, 0, 1]), np.array([5, 5, 5, 5]), np.array([1, 1, 2, 1])

    assert first_of_day(users, items, actions, None).tolist() == [True, False, True, True]
    assert first_of_day(users[:0], items[:0], actions[:0], None).tolist() == []


@pytest.fixture
def bought(tmp_path):
    """Builds the data stage from rows of user, item and time."""

    def bought(rows, **columns):
        items = pl.DataFrame({"item_id": [f"i{n}" for n in range(5)], "title": list("abcde")})
        items.write_parquet(tmp_path / "items.parquet")
        table = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
        table.with_columns(**columns).write_parquet(tmp_path / "interactions.parquet")
        uncapped = {"account_cap": None, "burst_seconds": None, "daily_cap": None}
        config = DataConfig(earliest="1970-01-01", **uncapped)
        build(config, shop_folder(tmp_path), tmp_path / "data")
        return load_dataset(tmp_path / "data")

    return bought


def counts(data):
    return dict(zip(data.item_ids, data.popularity.tolist(), strict=True))


def test_one_account_cannot_make_a_best_seller_in_a_day(bought):
    honest = [(f"u{n}", f"i{n % 3}", n * DAY + item) for n in range(30) for item in range(3)]
    flood = [("one-account", "i4", 10 * DAY + second) for second in range(600)]

    data = bought(honest + flood, split=pl.lit("train"))

    assert counts(data) == {"i0": 10, "i1": 10, "i2": 10, "i3": 0, "i4": 1}
    assert counts(data.for_refit()) == counts(data)
    assert len(data.items) == 90 + 600  # histories are whole


def test_a_regular_counts_once(bought):
    data = bought([("u", "i1", day * DAY) for day in range(9)], split=pl.lit("train"))

    assert counts(data)["i1"] == 1


def test_a_refit_counts_what_validation_repeats_once(shop):
    splits = np.zeros(len(shop.items), np.uint8)
    items, times = shop.items.copy(), shop.times.copy()
    items[:3], times[:3], splits[:3] = 7, times[0], [TRAIN, VALID, TEST]
    repeated = replace(
        shop, items=items, times=np.sort(times), splits=splits, actions=np.zeros_like(shop.actions)
    )

    without = repeated.for_refit().popularity.copy()
    repeated = replace(repeated, items=np.concatenate([[8], items[1:]]).astype(np.int32))

    assert without[7] == repeated.for_refit().popularity[7]


def test_histories_of_distinct_items_count_as_often_as_they_occur(shop):
    learnt = shop.splits < TEST

    plain = np.bincount(shop.items[learnt], minlength=len(shop.item_ids))

    np.testing.assert_array_equal(shop.for_refit().popularity, plain)

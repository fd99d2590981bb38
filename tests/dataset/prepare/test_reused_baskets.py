import polars as pl
import pytest

from dataset.arrays import TRAIN, load_dataset
from dataset.config import NOTES, DataConfig
from dataset.prepare.build import build
from dataset.prepare.reused_baskets import divided_baskets
from dataset.prepare.sources import shop_folder
from lineage.manifest import read_manifest

HOUR, DAY = 3_600, 86_400
START = 1_704_067_200  # 2024-01-01


def baskets_of(*rows):
    """Sorted sets of the items that are still in one basket, and the note."""
    events = pl.LazyFrame(
        [(user, basket, item, time * 1_000_000) for user, basket, item, time in rows],
        schema={"user_id": pl.String, "basket": pl.String, "item_id": pl.String, "time": pl.Int64},
        orient="row",
    )
    divided, note = divided_baskets(events)
    found = divided.filter(pl.col("basket").is_not_null()).group_by("user_id", "basket")
    return sorted(
        "".join(sorted(items)) for items in found.agg("item_id").collect()["item_id"]
    ), note


def test_a_basket_of_more_than_a_day_is_divided_at_its_gaps():
    found, note = baskets_of(
        ("u", "w1", "a", START),
        ("u", "w1", "b", START + HOUR),
        ("u", "w1", "c", START + 20 * HOUR),
        ("u", "w1", "d", START + 6 * DAY),
        ("v", "w1", "e", START + 6 * DAY),
        ("v", "w1", "f", START + 6 * DAY + 23 * HOUR),
        ("v", None, "g", START),
        ("v", None, "h", START + 9 * DAY),
    )

    assert found == ["ab", "c", "d", "ef"]
    assert "'basket' has 1 baskets" in note
    assert "'w1' from 2024-01-01 to 2024-01-07" in note


def test_baskets_without_a_user_are_divided_too():
    assert baskets_of((None, "till", "a", START), (None, "till", "b", START + 2 * DAY))[0] == [
        "a",
        "b",
    ]


def test_baskets_within_a_day_stay():
    assert baskets_of(("u", "x", "a", START), ("u", "x", "b", START + DAY)) == (["ab"], "")


@pytest.mark.parametrize("name", ["week", "one id"])
def test_ids_that_come_again_put_no_row_of_the_test_into_training(make_folder, tmp_path, name):
    rows = [
        (f"u{user}", f"i{(user + day) % 40}", START + day * DAY + user * HOUR, f"{day // 7}")
        for user in range(8)
        for day in range(0, 34, 2)
    ]
    events = pl.DataFrame(
        rows, schema=["user_id", "item_id", "timestamp", "basket"], orient="row"
    ).with_columns(pl.col("basket") if name == "week" else pl.lit("0").alias("basket"))

    items = pl.DataFrame({"item_id": [f"i{n}" for n in range(40)], "title": "Kettle"})

    build(DataConfig(), shop_folder(make_folder(items, events)), tmp_path / "data")

    data = load_dataset(tmp_path / "data")
    assert data.times[data.splits == TRAIN].max() < data.times[data.splits > TRAIN].min()
    assert len(data.cases("test"))
    (note,) = [n for n in read_manifest(tmp_path / "data", "data").facts[NOTES] if "basket" in n]
    assert f"{40 if name == 'week' else 8} baskets" in note

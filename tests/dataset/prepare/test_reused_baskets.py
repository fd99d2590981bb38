import polars as pl
import pytest

from dataset.arrays import TEST, TRAIN, load_dataset
from dataset.config import NOTES, DataConfig
from dataset.prepare.build import build
from dataset.prepare.reused_baskets import divided_baskets, note_on_reused
from dataset.prepare.sources import shop_folder
from lineage.manifest import read_manifest

HOUR, DAY = 3_600, 86_400
START = 1_704_067_200  # 2024-01-01
SHOP = ("user_id", "basket", "item_id")


def baskets_of(*rows):
    """Sorted sets of the items that are still in one basket, and the note."""
    events = pl.LazyFrame(
        [
            (user, basket, item, time * 1_000_000, action[0] if action else "purchase")
            for user, basket, item, time, *action in rows
        ],
        schema={**dict.fromkeys(SHOP, pl.String), "time": pl.Int64, "action": pl.String},
        orient="row",
    )
    divided, long = divided_baskets(events, {"exchange": -8})
    found = divided.filter(pl.col("basket").is_not_null()).group_by("user_id", "basket")
    return sorted(
        "".join(sorted(items)) for items in found.agg("item_id").collect()["item_id"]
    ), note_on_reused(long)


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
    assert "'basket' has 1 basket of one user that" in note
    assert "'w1' from 2024-01-01 to 2024-01-07" in note


def test_baskets_without_a_user_are_divided_too():
    assert baskets_of((None, "till", "a", START), (None, "till", "b", START + 2 * DAY))[0] == [
        "a",
        "b",
    ]


def test_baskets_within_a_day_stay():
    assert baskets_of(("u", "x", "a", START), ("u", "x", "b", START + DAY)) == (["ab"], "")


@pytest.mark.parametrize("user", ["u", None])
@pytest.mark.parametrize("action", ["refund", "hide", "exchange", "impression"])
def test_what_takes_away_weeks_later_divides_no_basket(user, action):
    rows = [(user, "o1", "a", START), (user, "o1", "b", START)]

    assert baskets_of(*rows, (user, "o1", "a", START + 20 * DAY, action)) == (["aab"], "")


def test_refunds_join_the_part_that_they_take_away_from():
    found, note = baskets_of(
        ("u", "w1", "a", START),
        ("u", "w1", "b", START),
        ("u", "w1", "c", START + 3 * DAY),
        ("u", "w1", "a", START + 3 * DAY),
        ("u", "w1", "d", START + 9 * DAY),
        *(("u", "w1", "a", START + (20 + day) * DAY, "refund") for day in range(3)),
        ("u", "w1", "b", START + 21 * DAY, "refund"),
        ("u", "w1", "x", START + 5 * DAY, "refund"),
    )

    # the first refund of a takes the newer one, the second the older, the third finds none
    assert found == ["aaacx", "aabb", "d"]
    assert "from 2024-01-01 to 2024-01-10" in note


def test_users_and_rows_without_one_have_one_warning_with_both_counts(make_folder, tmp_path):
    users = ["u", "u", None, None, None, None, "v"]
    events = {"user_id": users, "basket": ["1", "1", "2", "2", "3", "3", "4"]}
    events["timestamp"] = [START + day * DAY for day in (0, 3, 0, 4, 0, 9, 5)]

    build(DataConfig(), shop_folder(make_folder(events=events)), tmp_path / "data")

    notes = read_manifest(tmp_path / "data", "data").facts[NOTES]
    (note,) = [note for note in notes if "span more than a day" in note]
    assert "has 1 basket of one user and 2 baskets without a user that" in note
    assert "such as '3' from 2024-01-01 to 2024-01-10" in note


ORDERS = [
    *((None, f"g{n}", item, 2 * n, "purchase") for n in range(20) for item in "ab"),
    *(("u", f"o{n}", item, 2 * n, "purchase") for n, item in enumerate("abcd")),
    *(("v", f"o{9 + n}", item, 12 * n, "purchase") for n, item in enumerate("abcd")),
]


def shop_of(make_folder, rows):
    columns = ["user_id", "basket", "item_id", "timestamp", "action"]
    dated = [(*rest, START + day * DAY, action) for *rest, day, action in rows]
    return shop_folder(make_folder(events=pl.DataFrame(dated, schema=columns, orient="row")))


def test_a_late_refund_without_a_user_takes_its_purchase_away(make_folder, tmp_path):
    rows = [*ORDERS, (None, "g3", "a", 25, "refund")]

    build(DataConfig(), shop_of(make_folder, rows), tmp_path / "data")

    data = load_dataset(tmp_path / "data")
    baskets, stands = data.purchases_without_user, data.bought_without_user(TEST + 1)
    sold = [data.item_ids[row] for row in baskets.items[stands]]
    assert (sold.count("a"), sold.count("b")) == (19, 20)
    assert not [
        note
        for note in read_manifest(tmp_path / "data", "data").facts[NOTES]
        if "find nothing" in note
    ]


def test_refunds_without_a_user_that_find_no_purchase_are_counted_with_an_example(
    make_folder, tmp_path
):
    lost = [(None, "C4", "a", 25, "refund"), (None, "g5", "c", 26, "cancel")]
    rows = [*ORDERS, (None, "g3", "a", 25, "refund"), (None, "g3", "a", 27, "refund"), *lost]

    build(DataConfig(), shop_of(make_folder, rows), tmp_path / "data")

    (note,) = [
        n for n in read_manifest(tmp_path / "data", "data").facts[NOTES] if "find nothing" in n
    ]
    assert note.startswith("3 of 4 rows without a user")
    assert "'refund' of item 'a': basket 'C4' has no earlier purchase" in note


def test_a_late_refund_of_a_user_does_not_put_the_purchase_into_its_split(make_folder, tmp_path):
    rows = [*ORDERS, ("u", "o0", "a", 36, "refund"), ("u", None, "d", 37, "purchase")]

    build(DataConfig(), shop_of(make_folder, rows), tmp_path / "data")

    data = load_dataset(tmp_path / "data")
    (user,) = [row for row, name in enumerate(data.user_ids) if name == "u"]
    own = slice(data.offsets[user], data.offsets[user + 1])
    assert data.moments[own].tolist() == [0, 1, 2, 3, 4, 5]
    assert data.splits[own][0] == TRAIN
    notes = read_manifest(tmp_path / "data", "data").facts[NOTES]
    assert not [note for note in notes if "more than a day" in note]


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

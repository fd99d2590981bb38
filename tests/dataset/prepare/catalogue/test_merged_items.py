import polars as pl
import pytest

from dataset.prepare.catalogue.merged_items import merged


def lines(*rows, columns=("item_id", "title", "price", "timestamp", "basket")):
    return pl.DataFrame(rows, schema=list(columns), orient="row")


def by_item(rows, **options):
    return {row["item_id"]: row for row in merged(rows, **options).iter_rows(named=True)}


def test_the_title_is_the_one_of_most_baskets():
    rows = lines(
        ("a", "Kettle", 1.0, 1, "x"),
        ("a", "Kettle", 1.0, 2, "y"),
        ("a", "Kettle, damaged", 1.0, 3, "z"),
        ("a", "Kettle, damaged", 1.0, 3, "z"),
        ("a", "Kettle, damaged", 1.0, 3, "z"),
    )

    assert by_item(rows)["a"]["title"] == "Kettle"


def test_a_title_that_many_items_have_and_few_usually_is_a_remark():
    names = [
        (item, f"Lamp {item}", 1.0, time, f"{item}{time}") for item in "abcde" for time in (1, 2)
    ]
    remarks = [(item, "damaged", 1.0, 3, f"{item}r") for item in "bcde"]
    often = [("a", "damaged", 1.0, time, f"a{time}") for time in (5, 6, 7)]

    found = by_item(lines(*names, *remarks, *often))

    assert {item: row["title"] for item, row in found.items()} == {
        item: f"Lamp {item}" for item in "abcde"
    }


def test_a_title_that_variants_share_is_a_name():
    rows = lines(*((item, "Lamp", 1.0, 1, item) for item in "abc"))

    assert {row["title"] for row in by_item(rows).values()} == {"Lamp"}


def test_a_remark_names_an_item_that_has_no_other_title():
    names = [(item, "Lamp " + item, 1.0, t, item + str(t)) for item in "abc" for t in (1, 2)]
    remarks = [(item, "found", 1.0, 3, item + "r") for item in "abcd"]

    assert by_item(lines(*names, *remarks))["d"]["title"] == "found"


def test_numbers_are_the_newest_that_are_known():
    rows = lines(
        ("a", "Kettle", 3.0, 9, "x"),
        ("a", "Kettle", 2.0, 1, "y"),
        ("a", "Kettle", None, 10, "z"),
        ("a", "Kettle", float("nan"), 11, "z"),
    )

    assert by_item(rows)["a"]["price"] == 3.0


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_decides_nothing(seed):
    rows = lines(
        ("a", "Kettle", 3.0, 9, "x"),
        ("a", "Pot", 2.0, 9, "y"),
        ("b", " Lamp", 1.0, 4, "y"),
        ("b", "Light", 5.0, 4, "x"),
        ("b", "", 5.0, 8, "x"),
    )

    found = by_item(rows.sample(fraction=1, shuffle=True, seed=seed))

    assert (found["a"]["title"], found["a"]["price"]) == ("Kettle", 3.0)
    assert (found["b"]["title"], found["b"]["price"]) == ("Lamp", 5.0)


def test_columns_of_interactions_are_left_out_if_asked():
    rows = lines(("a", "Kettle", 3.0, 9, "x"))

    assert merged(rows, leave_out=("timestamp", "basket")).columns == ["item_id", "title", "price"]
    assert merged(rows.drop("basket")).columns == ["item_id", "title", "price", "timestamp"]


def test_lists_and_dates_are_merged_too():
    rows = pl.DataFrame(
        {
            "item_id": ["a", "a"],
            "title": ["Kettle", None],
            "tags": [["new"], ["old", "red"]],
            "new": [True, False],
            "brand": pl.Series(["Acme", "Acme"], dtype=pl.Categorical),
        }
    )

    assert merged(rows).row(0) == ("a", "Kettle", ["old", "red"], False, "Acme")


def test_a_refund_gives_a_price_only_where_no_sale_does():
    rows = lines(
        ("a", "Kettle", 3.0, 1, "Sale"),
        ("a", "Kettle", 2.0, 9, "Refund"),
        ("b", "Lamp", 5.0, 1, "refund"),
        ("c", "Cup", 6.0, 1, "sale"),
        ("c", "Cup", 7.0, 2, "swap"),
        columns=("item_id", "title", "price", "timestamp", "action"),
    )

    prices = {item: row["price"] for item, row in by_item(rows).items()}
    assert prices == {"a": 3.0, "b": 5.0, "c": 7.0}
    assert by_item(rows, actions={"swap": -8})["c"]["price"] == 6.0

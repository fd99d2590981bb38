import polars as pl
import pytest

from dataset.config import DataConfig
from dataset.prepare.canonical import canonical
from dataset.prepare.sources import open_source

START = 1_700_000_000
LINES = DataConfig(items="sales.parquet", interactions="sales.parquet", duplicates="merge")


@pytest.fixture
def shop(tmp_path):
    """Items and notes of sales lines: two items by turns, one user and basket a line."""

    def items(columns, title="Kettle"):
        rows = len(next(iter(columns.values())))
        lines = {
            "user_id": [f"u{row}" for row in range(rows)],
            "item_id": ["ab"[row % 2] for row in range(rows)],
            "timestamp": [START + row for row in range(rows)],
            "title": [title] * rows,
            **columns,
        }
        pl.DataFrame(lines).write_parquet(tmp_path / "sales.parquet")
        found = canonical(open_source(str(tmp_path), tmp_path, LINES), duplicates="merge").items
        return found.frame.sort("item_id").collect(), found.findings

    return items


OLD_AND_NEW = [33.11] * 82 + [99.0] * 10


@pytest.mark.parametrize(
    "text",
    [
        lambda price: f"{price:.2f} €".replace(".", ","),
        lambda price: f"EUR {price:.2f}",
        lambda price: f"{price:.2f}",
        lambda price: f"{price:.2f}&nbsp;€",
        lambda price: f"€{price:.2f}".encode(),
    ],
    ids=["comma", "code", "plain", "html", "bytes"],
)
def test_prices_in_text_merge_like_the_same_prices_as_numbers(shop, text):
    numbers, _ = shop({"price": OLD_AND_NEW})
    texts, _ = shop({"price": [text(price) for price in OLD_AND_NEW]})

    assert numbers["price"].to_list() == [99.0, 99.0]
    assert texts["price"].to_list() == numbers["price"].to_list()


def test_prices_of_several_currencies_stay_text_and_merge_by_time(shop):
    prices = ["€ 33.11", "£ 33.11"] * 41 + ["€ 99.00", "£ 99.00"] * 5

    items, _ = shop({"price": [*prices, " ", None, "ask", "ask"]})

    assert items["price"].to_list() == ["€ 99.00", "£ 99.00"]


def test_one_price_that_differs_is_missing_and_the_note_names_its_row(shop):
    prices = [f"{price:.2f} €" for price in OLD_AND_NEW] * 2

    items, findings = shop({"price": [*prices, "on request"]})

    assert items["price"].to_list() == [99.0, 99.0]
    (note,) = [note for note in findings.notes if "'price'" in note]
    assert "'on request' of item 'a' (row 185)" in note


@pytest.mark.parametrize("odd", [[], ["n/a"] * 2])
def test_numbers_in_text_merge_by_time_and_codes_and_words_by_number(shop, odd):
    old, new = 200, 10
    columns = {
        "weight": ["1.5"] * old + ["2.5"] * new,
        "stock_code": ["1.5"] * old + ["2.5"] * new,
        "colour": ["red"] * old + ["blue"] * new,
    }
    columns = {name: values + odd for name, values in columns.items()}

    items, _ = shop(columns)

    assert items["stock_code"].to_list() == ["1.5", "1.5"]
    assert items["colour"].to_list() == ["red", "red"]
    assert items["weight"].to_list() == ["2.5", "2.5"]

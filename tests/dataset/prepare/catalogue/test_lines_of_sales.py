import numpy as np
import polars as pl
import pytest

from dataset.config import DataConfig
from dataset.prepare.canonical import canonical
from dataset.prepare.check import check_source
from dataset.prepare.sources import open_source

START = 1_700_000_000
ROWS = 400
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
    old, new = 100, 5
    columns = {
        "weight": ["1.5", "11.5"] * old + ["2.5", "12.5"] * new,
        "stock_code": ["1.5", "11.5"] * old + ["2.5", "12.5"] * new,
        "colour": ["red", "green"] * old + ["blue", "grey"] * new,
    }
    columns = {name: values + odd for name, values in columns.items()}

    items, _ = shop(columns)

    assert items["stock_code"].to_list() == ["1.5", "11.5"]
    assert items["colour"].to_list() == ["red", "green"]
    assert items["weight"].to_list() == ["2.5", "12.5"]


def test_titles_as_bytes_merge_like_texts(shop):
    bytes_of = [b"Kettle", b"1984"] * 30 + [b"Pot", b"2001"] * 2

    items, _ = shop({"title": bytes_of})

    assert items["title"].to_list() == ["Kettle", "1984"]


def test_titles_of_digits_alone_merge_by_number(shop):
    assert shop({"title": ["1984"] * 30 + ["2001"] * 2})[0]["title"].to_list() == ["1984"] * 2


def drawn(values, shares=None):
    """A value of each of many lines, whatever its item."""
    return np.random.default_rng(0).choice(values, ROWS, p=shares).tolist()


@pytest.mark.parametrize(
    "values",
    [
        drawn([1, 2, 3, 4]),
        drawn([1, 2, 6], [0.7, 0.2, 0.1]),
        drawn(["1", "2", "6"]),
        drawn(["DE", "AT"], [0.9, 0.1]),
        drawn([True, False]),
        [None, *range(1, ROWS)],
    ],
    ids=["quantity", "mostly 1", "text", "country", "boolean", "number of the line"],
)
def test_a_column_that_varies_within_items_like_among_all_lines_is_no_attribute(shop, values):
    items, findings = shop({"Menge": values, "brand": ["Acme", "Best"] * (ROWS // 2)})

    assert items.columns == ["item_id", "title", "brand"]
    assert findings.unused["Menge"] == "it varies between the lines of an item"
    (note,) = [note for note in findings.notes if note.startswith("columns without a use: 'Menge'")]
    assert "table of items" in note


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("price", drawn([1, 2, 3, 4])),
        ("VK", drawn(["€ 1.00", "€ 2.00", "€ 3.00"])),
        ("size", [[3, 5][row % 2] + 2 * (row > ROWS * 0.8) for row in range(ROWS)]),
        ("brand", [None if row % 3 else "AB"[row % 2] for row in range(ROWS)]),
        ("currency", ["EUR"] * (ROWS - 5) + ["USD"] * 5),
        ("weight", [1.5, float("nan")] * (ROWS // 2)),
        ("colour", ["red", "blue"] * (ROWS // 2 - 8) + ["grey"] * 16),
    ],
    ids=["price", "of currency", "changed once", "gaps", "nearly constant", "nan", "odd values"],
)
def test_prices_and_columns_that_tell_items_apart_stay_attributes(shop, name, values):
    items, findings = shop({name: values})

    assert items.columns == ["item_id", "title", name]
    assert name not in findings.unused


def test_few_lines_decide_nothing(shop):
    assert "size" in shop({"size": [1, 2, 3, 4, 5, 6]})[0].columns


def test_check_says_why_a_column_is_not_used_by_its_name_in_the_file(shop, tmp_path):
    shop({"Menge": drawn([1, 2, 3, 4])})

    report = check_source(str(tmp_path), tmp_path, LINES)

    uses = {column.name: column.use for column in report.tables["items"].columns}
    assert uses["Menge"] == "not used: it varies between the lines of an item"
    assert not report.broken

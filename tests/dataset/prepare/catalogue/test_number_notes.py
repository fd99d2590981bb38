import re
from dataclasses import replace

import polars as pl
import pytest
import yaml

from dataset.config import DataConfig
from dataset.prepare.catalogue.number_notes import Origin, note_on_numbers, note_on_prices
from dataset.prepare.catalogue.prices import price_numbers
from dataset.prepare.check import check_source


@pytest.fixture
def shop(make_folder):
    """Folder of a CSV with a column of items, whose rows are numbered from item 0."""

    def shop(name, values, ids=None):
        ids = ids or [f"i{row}" for row in range(len(values))]
        items = {"item_id": ids, "title": ["Kettle"] * len(ids), name: values}
        events = {"item_id": ["i0"] * 7}
        folder = make_folder(pl.DataFrame(items), events)
        pl.DataFrame(items).write_csv(folder / "items.csv")
        (folder / "items.parquet").unlink()
        return folder

    return shop


def noted(folder, tmp_path, name, **options):
    """The use of a column, and the note on it."""
    report = check_source(str(folder), tmp_path, DataConfig(**options))
    assert not report.broken
    use = {column.name: column.use for column in report.tables["items"].columns}[name]
    notes = [note for note in report.warnings if note.startswith(f"column {name!r}")]
    return use, " ".join(notes)


def test_a_pound_among_euros_is_missing_and_the_note_says_where_and_what_to_write(shop, tmp_path):
    prices = [f"€{number}.00" for number in range(300)]
    prices[117] = "£12.00"

    use, note = noted(shop("UnitPrice", prices), tmp_path, "price", columns={"UnitPrice": "price"})

    assert use == "filter (number)"
    assert "1 of 300 values is no price like the others (EUR 299, GBP 1)" in note
    assert "'£12.00' of item 'i117' (line 119)" in note
    assert "`compute: {UnitPrice: " in note


@pytest.mark.parametrize("pattern", ["{} {}.50", "{}{},50", "{} 1,000.50"])
@pytest.mark.parametrize("column", ["price", "unit price"])
def test_the_line_about_several_currencies_converts_them(shop, tmp_path, pattern, column):
    values = [pattern.format("€" if row % 2 else "£", row) for row in range(8)]
    folder = shop(column, values)
    use, note = noted(folder, tmp_path, column)
    assert use.startswith("text")
    assert "several currencies (EUR 4, GBP 4), such as" in note

    (line,) = re.findall(r"`(compute: .*)`", note)
    compute = yaml.safe_load(line)["compute"]
    sql = compute[column].replace("RATE", "10")

    assert noted(folder, tmp_path, column, compute={column: sql}) == ("filter (number)", "")
    numbers = pl.read_csv(folder / "items.csv").select(pl.sql_expr(sql).alias("x"))["x"].to_list()
    amounts = [1000.5 if "000" in pattern else row + 0.5 for row in range(8)]
    assert numbers == [amount if row % 2 else 10 * amount for row, amount in enumerate(amounts)]


def test_numbers_with_one_other_value_stay_text_and_the_note_reads_them(shop, tmp_path):
    values = [f"{row}.5" for row in range(120)]
    values[7] = "n/a"
    folder = shop("weight", values)

    use, note = noted(folder, tmp_path, "weight")

    assert use.startswith("text")
    assert "stays text: 1 of 120 values is no number, such as 'n/a' of item 'i7' (line 9)" in note
    compute = yaml.safe_load(re.findall(r"`(compute: .*)`", note)[0])["compute"]
    assert noted(folder, tmp_path, "weight", compute=compute) == ("filter (number)", "")


@pytest.mark.parametrize("name", ["article_code", "weight"])
def test_codes_and_mixed_texts_are_not_said_to_be_numbers(name):
    values = [f"{row}" for row in range(120)] + ["n/a"] * (1 if name == "article_code" else 2)
    column = pl.Series(name, values)

    assert note_on_numbers(column, Origin(ids=column)) == ""


def test_no_line_is_named_where_one_row_of_each_id_was_chosen(shop, tmp_path):
    prices = ["€1.00"] * 120 + ["£1.00"]
    ids = ["i0", *(f"i{row}" for row in range(120))]

    _, note = noted(shop("price", prices, ids), tmp_path, "price", duplicates="last")

    assert "'£1.00' of item 'i119';" in note


def test_a_field_that_the_file_has_no_column_of_has_no_line():
    column = pl.Series("meta.price", ["€ 1", "£ 2"])
    prices = price_numbers(column)
    assert prices is not None

    note = note_on_prices(column, prices, Origin(ids=pl.Series(["a", "b"])))

    assert note.endswith("convert them by `compute` in data.yaml")
    assert note_on_prices(column, replace(prices, reason=""), Origin(ids=column)) == ""

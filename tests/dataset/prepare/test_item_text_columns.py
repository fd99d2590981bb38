import re

import polars as pl
import pytest

from dataset.prepare.item_text_columns import rendered
from dataset.prepare.schema import attribute_columns, text_columns

LONG = "Disney/Pixar's “Monsters”, Inc:   Scream Team — 日本語版 (PS2) é_1"


def render(columns, budget=64, **values):
    frame = pl.DataFrame({name: [value] for name, value in values.items()})
    return frame.select(rendered(frame.schema, columns, token_budget=budget)).item()


def test_fields_are_joined_by_priority_and_blanks_are_skipped():
    text = render(
        ["title", "brand", "category"], category="Toys ", brand=None, title="  Big\n kite"
    )

    assert text == "Big kite. Toys"
    assert render(["brand", "title"], brand=" ", title="Kite") == "Kite"


def test_typed_columns_and_lists_of_strings_can_be_rendered():
    text = render(["title", "year", "tags"], title="Kite", year=1995, tags=["red", "silk"])

    assert text == "Kite. 1995. red, silk"


@pytest.mark.parametrize("budget", [1, 2, 3, 7, 12, 19, 20, 500])
def test_a_text_is_cut_after_the_budgeted_words_and_marks(budget):
    whole = render(["title"], title=LONG)

    text = render(["title"], budget, title=LONG)

    pieces = re.findall(r"\w+|[^\w\s]", whole)
    assert whole.startswith(text)
    assert re.findall(r"\w+|[^\w\s]", text) == pieces[:budget]
    assert text == text.strip()


def test_a_text_of_exactly_the_budget_is_unchanged():
    assert render(["title"], 4, title="one, two three") == "one, two three"


def test_other_text_columns_follow_by_name_without_keys_and_addresses():
    schema = pl.Schema(
        {
            "item_id": pl.String,
            "title": pl.String,
            "zest": pl.String,
            "colour": pl.Categorical(),
            "brand": pl.String,
            "stock_code": pl.String,
            "image_url": pl.String,
            "parent_id": pl.String,
            "price": pl.Float64,
        }
    )

    texts = text_columns(schema, ("title", "brand", "description"))

    assert texts == ["title", "brand", "colour", "zest"]


def test_configured_columns_are_rendered_even_if_they_are_keys_or_typed():
    schema = pl.Schema(
        {"item_id": pl.String, "title": pl.String, "a_code": pl.String, "n": pl.Int8}
    )

    texts = text_columns(schema, ("n", "a_code", "title"))

    assert texts == ["n", "a_code", "title"]


def test_typed_columns_and_short_strings_are_attributes():
    short, long = ["x" * 100, None, "", "y"], ["x" * 101] * 4
    items = pl.DataFrame(
        {
            "item_id": ["a", "b", "c", "d"],
            "title": short,
            "category": short,
            "description": long,
            "colour": pl.Series(["red"] * 4, dtype=pl.Categorical),
            "tags": [["a"], [], None, ["b"]],
            "empty": pl.Series([None] * 4, dtype=pl.String),
            "price": [1, 2, 3, None],
        }
    )

    assert attribute_columns(items) == ["category", "colour", "tags", "empty", "price"]


def test_a_column_with_one_percent_of_long_strings_is_an_attribute():
    values = ["red"] * 99 + ["x" * 500]
    items = pl.DataFrame({"item_id": range(200), "colour": values * 2})

    assert attribute_columns(items) == ["colour"]
    assert attribute_columns(items.with_columns(colour=pl.Series(values[-4:] * 50))) == []


def test_columns_of_unreadable_types_are_no_text():
    schema = pl.Schema({"title": pl.String, "category": pl.List(pl.Int8), "brand": pl.Binary})

    assert text_columns(schema, ("title", "brand", "category")) == ["title"]

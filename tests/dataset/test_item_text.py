import random
import re

import pytest

from dataset.config import DataConfig
from dataset.item_text import item_text

LETTERS = "ab Zé9٣²Ⅷ_-.,'’ \t\n日本ก็हिन्दी\u200d\u0301 ①😀½\u00a0"
LONG = "Disney/Pixar's “Monsters”, Inc:   Scream Team — 日本語版 (PS2) é_1"


def text(config=None, **fields):
    return item_text(fields, config or DataConfig())


def test_fields_are_joined_by_priority_and_blanks_are_skipped():
    fields = {"category": "Toys ", "brand": None, "title": "  Big\n kite", "a": "", "zeta": "z  z"}

    assert text(**fields) == "Big kite. Toys. z z"
    assert text(DataConfig(fields=("category", "title")), **fields) == "Toys. Big kite. z z"
    assert text(brand=" ", title="Kite") == "Kite"


def test_keys_addresses_and_lists_are_read_only_if_they_are_configured():
    fields = {"title": "Kite", "maker_id": "m", "image_url": "http", "tags": ["red", "silk"]}

    assert text(**fields) == "Kite"
    named = DataConfig(fields=("title", "maker_id", "tags"))
    assert text(named, **fields) == "Kite. m. red, silk"


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (7, "7"),
        (7.0, "7"),
        (-0.0, "0"),
        (5.99, "5.99"),
        (1e-7, "1e-07"),
        (2**60, "1.152921504606847e+18"),
        (float(2**60), "1.152921504606847e+18"),
        (True, "true"),
        (False, "false"),
        (["a", " b"], "a, b"),
        ([], ""),
        (None, ""),
    ],
)
def test_a_value_has_one_form_whether_or_not_it_came_through_a_message(value, line):
    assert item_text({"n": value}, DataConfig(fields=("n",))) == line


@pytest.mark.parametrize("budget", [1, 2, 3, 7, 12, 19, 20, 500])
def test_a_text_is_cut_after_the_budgeted_words_and_marks(budget):
    whole = text(title=LONG)

    short = text(DataConfig(token_budget=budget), title=LONG)

    pieces = re.findall(r"\w+|[^\w\s]", whole)
    assert whole.startswith(short)
    assert re.findall(r"\w+|[^\w\s]", short) == pieces[:budget]
    assert short == short.strip()


def test_a_text_of_exactly_the_budget_is_unchanged():
    assert text(DataConfig(token_budget=4), title="one, two three") == "one, two three"


def test_a_word_with_vowel_signs_is_one_word():
    assert text(DataConfig(token_budget=2), title="हिन्दी की किताब") == "हिन्दी की"


def test_a_cut_text_is_cut_no_further():
    chosen, config = random.Random(0), DataConfig(token_budget=5)
    for _ in range(500):
        once = text(config, title="".join(chosen.choices(LETTERS, k=chosen.randint(1, 30))))
        assert text(config, title=once) == once

import numpy as np
import pytest

from dataset.arrays import StringColumn
from dataset.postings import KeywordPostings, OrderedPostings, save_postings
from profiles.load_values import TITLE_WORD, load_values, parts_of
from profiles.title_words import TitleWords

TITLES = ["red mug", "blue mug", "tin of mug", "oak chair", "small chair", "big chair"]


def keywords(*values):
    """Postings of one keyword an item, "" for none."""
    known = sorted({value for value in values if value})
    rows = [[row for row, of in enumerate(values) if of == value] for value in known]
    starts = np.cumsum([0, *map(len, rows)])
    return KeywordPostings.of(known, starts, np.concatenate([*rows, []]).astype(np.int64))


def loaded(tmp_path, **attributes):
    kinds = {
        n: "number" if isinstance(p, OrderedPostings) else "keyword" for n, p in attributes.items()
    }
    save_postings(tmp_path, kinds, list(attributes.values()))
    return load_values(tmp_path, TITLES, TitleWords.of(TITLES))


def named(attribute, rows):
    places, numbers = attribute.of_rows(np.array(rows))
    return [
        (place, attribute.values[number])
        for place, number in zip(places.tolist(), numbers.tolist(), strict=True)
    ]


def test_items_have_their_keywords(tmp_path):
    (brand,) = loaded(tmp_path, brand=keywords("a", "b", "", "a", "b", "b"))

    assert named(brand, [3, 2, 1]) == [(0, "a"), (2, "b")]
    assert not brand.several


def test_keywords_of_single_items_tell_nothing(tmp_path):
    made = loaded(tmp_path, code=keywords(*"abcdef"), brand=keywords(*"aabbcc"))

    assert [one.name for one in made] == ["brand"]


def test_without_keywords_the_words_that_end_titles_stand_for_them(tmp_path):
    price = OrderedPostings.of(np.arange(6.0), np.arange(6))
    kind, bands = loaded(tmp_path, price=price)

    assert (kind.name, bands.name) == (TITLE_WORD, "price")
    assert named(kind, [0, 2, 5]) == [(0, "mug"), (1, "mug"), (2, "chair")]


def test_numbers_fall_into_bands_with_bounds(tmp_path):
    _, price = loaded(tmp_path, price=OrderedPostings.of(np.arange(6.0), np.arange(6)[::-1].copy()))

    assert price.bands.bounds == (1, 2, 3, 4)
    assert named(price, [5, 0]) == [(0, "under 1"), (1, "4 or more")]
    assert price.bands.limits(1) == (1, 2)


def test_added_items_have_the_values_that_the_release_knows(tmp_path):
    (brand,) = loaded(tmp_path, brand=keywords("a", "b", "", "a", "b", "b"))

    places, numbers = brand.of_rows(np.array([7, 0]), lambda row: brand.of_item("", ["b", "new"]))

    assert [(p, brand.values[n]) for p, n in zip(places, numbers, strict=True)] == [
        (0, "b"),
        (1, "a"),
    ]


def test_lists_in_one_string_are_taken_apart():
    genres = ["Comedy", "Drama", "War", "Comedy Drama", "Comedy War", "Drama War"]
    genres += ["Comedy Drama War", "Drama Comedy", "War Drama"]

    separator, parts, of_value = parts_of(genres)

    assert (separator, parts) == (" ", ["Comedy", "Drama", "War"])
    assert [parts[number] for number in of_value[5]] == ["Drama", "War"]


@pytest.mark.parametrize("names", [["Red Bull", "Bull Dog", "Acme"], ["a b", "a c", "b c", "d e"]])
def test_names_of_several_words_are_left_whole(names):
    assert parts_of(names) is None


def test_popularity_sums_to_one_where_items_have_one_value(tmp_path):
    (brand,) = loaded(tmp_path, brand=keywords("a", "b", "", "a", "b", "b"))
    purchases = np.array([50.0, 1, 99, 50, 1, 1])

    shares = brand.popularity(purchases)
    left = brand.left(purchases, brand.bought(np.arange(6), purchases), np.array([0, 3]))

    assert shares.sum() == pytest.approx(1)
    assert left.sum() == pytest.approx(1)
    assert shares[0] > 0.8
    assert left[0] < 0.5


def test_values_are_a_column_that_is_searched(tmp_path):
    (brand,) = loaded(tmp_path, brand=keywords(*"aabbcc"))

    assert isinstance(brand.values, StringColumn)
    assert brand.of_item("", ["c", "zzz"]) == [2]

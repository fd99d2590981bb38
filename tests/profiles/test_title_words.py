import numpy as np

from profiles.title_words import TitleWords, words_of

TITLES = [
    "SET OF 3 RED MUGS",
    "blue mug",
    "green mug",
    "tea mug",
    "red hot chair",
    "wicker chair",
    "garden chair",
    "mug chair 12",
]


def test_words_are_lower_case_without_numbers_and_stop_words():
    assert words_of("SET OF 3 Red-Hot MUGS, for Été") == ["red", "hot", "mugs", "été"]


def test_the_kind_is_the_word_that_ends_most_titles():
    words = TitleWords.of(TITLES)

    assert list(words.kinds) == ["chair", "mug"]
    assert words.kind("mug chair 12") == words.kinds["chair"]
    assert words.kind("a red mug of tin") == words.kinds["mug"]
    assert words.kind("lamp") is None


def test_telling_words_are_usual_among_the_items_and_rare_elsewhere():
    words = TitleWords.of([*TITLES, *["blue lamp"] * 20])

    told = words.telling(["red hot chair", "blue chair"], np.ones(2), 2)

    assert told == ("chair", "hot")


def test_a_word_of_a_single_title_does_not_tell_of_several_items():
    words = TitleWords.of(TITLES)

    assert words.telling(["blue mug", "wicker chair", "garden chair"], np.ones(3), 3) == ("chair",)
    assert words.telling(["one", "two", "three"], np.ones(3), 3) == ()


def test_weights_decide_which_words_tell():
    words = TitleWords.of(TITLES)

    assert words.telling(["blue mug", "wicker chair"], np.array([9.0, 1.0]), 1) == ("blue",)

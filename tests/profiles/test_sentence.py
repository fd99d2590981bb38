import numpy as np

from evaluation.bands import Bands
from profiles.sentence import Said, sentence


def test_the_sentence_names_everything_that_is_known():
    said = sentence(
        [Said(name="gifts", share=0.61), Said(name="mugs", share=0.2)],
        "lights",
        ["price 2 to 5"],
        [Said(name="toys", share=0.12)],
    )

    assert said == (
        "Mostly gifts (61%), also mugs (20%), lately lights; usually price 2 to 5; "
        "likely next: toys (12%)."
    )


def test_parts_without_anything_to_say_are_left_out():
    assert sentence([Said(name="gifts", share=1)], None, [], []) == "Mostly gifts (100%)."
    assert sentence([], None, ["price 2 to 5"], []) == "Nothing is known of this shopper yet."


def test_bands_have_round_bounds_and_names():
    bands = Bands.of(np.array([0.85, 1.25, 1.66, 2.11, 2.951, 4.95, 7.95, 12.5, 50.0]))

    assert bands.bounds == (1.5, 2.3, 4.6, 9.8)
    assert bands.names[0] == "under 1.5"
    assert bands.names[1] == "1.5 to 2.3"
    assert bands.names[-1] == "9.8 or more"


def test_years_are_not_rounded_to_centuries():
    assert Bands.of(np.arange(1950.0, 2000.0)).names[0] == "under 1960"


def test_equal_numbers_have_no_bands():
    assert Bands.of(np.ones(9)).bounds == Bands.of(np.empty(0)).bounds == ()

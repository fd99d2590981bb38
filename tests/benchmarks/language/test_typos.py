from difflib import SequenceMatcher

from benchmarks.language.typos import mistyped

TEXTS = ["my new card has not arrived yet"] * 300


def test_about_the_wanted_share_of_the_words_is_mistyped():
    found = mistyped(TEXTS, 0.1, seed=1)

    words = zip(" ".join(TEXTS).split(), " ".join(found).split(), strict=True)
    wrong = [(one, other) for one, other in words if one != other]

    assert 0.05 < len(wrong) / (7 * len(TEXTS)) < 0.12  # a swap of equal letters changes nothing
    assert all(abs(len(one) - len(other)) <= 1 for one, other in wrong)
    assert all(SequenceMatcher(None, one, other).ratio() > 0.3 for one, other in wrong)


def test_mistakes_repeat_by_the_seed():
    assert mistyped(TEXTS, 0.1, seed=1) == mistyped(TEXTS, 0.1, seed=1)
    assert mistyped(TEXTS, 0.1, seed=1) != mistyped(TEXTS, 0.1, seed=2)


def test_without_a_share_and_in_words_of_one_letter_nothing_is_mistyped():
    assert mistyped(TEXTS, 0.0, seed=1) == TEXTS
    assert mistyped(["a b ?"], 1.0, seed=1) == ["a b ?"]

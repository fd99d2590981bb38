import numpy as np
import pytest

from backbone.augmentation import NEIGHBOURS, Augmenter, augmented, mistyped
from backbone.config import AugmentationConfig
from backbone.load import load_tokenizer

TEXT = "why was I charged twice for this card payment"


def edits(word, other):
    """Least insertions, deletions, substitutions and swaps of neighbours between two words."""
    table = np.zeros((len(word) + 1, len(other) + 1), int)
    table[:, 0], table[0] = np.arange(len(word) + 1), np.arange(len(other) + 1)
    for i in range(1, len(word) + 1):
        for j in range(1, len(other) + 1):
            same = word[i - 1] != other[j - 1]
            table[i, j] = min(table[i - 1, j - 1] + same, table[i - 1, j] + 1, table[i, j - 1] + 1)
            if i > 1 and j > 1 and word[i - 2 : i] == other[j - 2 : j][::-1]:
                table[i, j] = min(table[i, j], table[i - 2, j - 2] + 1)
    return table[-1, -1]


@pytest.mark.parametrize("word", ["charged", "größer", "кружка", "abc", "CARD"])
def test_a_typo_is_one_edit_at_most(word):
    found = [mistyped(word, np.random.default_rng(seed)) for seed in range(100)]

    assert max(edits(word, one) for one in found) == 1
    assert len(set(found)) > 5
    assert mistyped("ab", np.random.default_rng(0)) == "ab"


def test_keys_are_neighbours_of_their_neighbours():
    assert set(NEIGHBOURS["g"]) == set("tyfhvb")
    assert all(key in NEIGHBOURS[other] for key, others in NEIGHBOURS.items() for other in others)


def test_words_are_mistyped_and_dropped_as_often_as_configured():
    config = AugmentationConfig(typos=0.3, dropped_words=0.2)
    rng = np.random.default_rng(0)
    words = TEXT.replace("I ", "").split()

    found = [augmented(" ".join(words), config, rng).split() for _ in range(1000)]

    kept = np.mean([len(one) for one in found]) / len(words)
    wrong = np.mean([word not in words for one in found for word in one])
    assert kept == pytest.approx(0.8 + 0.2 / len(words), abs=0.02)
    assert wrong == pytest.approx(0.3, abs=0.03)


def test_a_text_keeps_a_word():
    config, rng = AugmentationConfig(dropped_words=0.99), np.random.default_rng(0)

    assert all(len(augmented(TEXT, config, rng).split()) >= 1 for _ in range(50))
    assert augmented("", config, rng) == ""


def test_an_augmenter_draws_anew_and_repeats_with_its_generator(tiny_bert):
    augmenter = Augmenter(
        texts=["red mugs", "navy lamp blue mug"],
        tokenizer=load_tokenizer(str(tiny_bert)),
        max_tokens=6,
        config=AugmentationConfig(dropped_words=0.5),
    )

    first, again, other = (augmenter([1] * 20, np.random.default_rng(s)) for s in (0, 0, 1))

    assert [one.tolist() for one in first] == [one.tolist() for one in again]
    assert [one.tolist() for one in first] != [one.tolist() for one in other]
    assert {one[0] for one in first} == {2}
    assert max(map(len, first)) <= 6


def test_words_are_replaced_by_synonyms_as_often_as_configured_in_their_case():
    config, rng = AugmentationConfig(synonyms=0.3), np.random.default_rng(0)
    synonyms = {"mug": ("cup", "beaker"), "red": ("crimson",)}

    found = [augmented("Red mug, blue MUG", config, rng, synonyms) for _ in range(1000)]

    words = [word for one in found for word in one.replace(",", "").split()]
    assert set(words) == {"Red", "Crimson", "mug", "cup", "beaker", "blue", "MUG", "CUP", "BEAKER"}
    assert words.count("Crimson") / 1000 == pytest.approx(0.3, abs=0.04)
    assert words.count("cup") / 1000 == pytest.approx(0.15, abs=0.03)
    assert augmented("Red mug", AugmentationConfig(), rng, synonyms) == "Red mug"


def test_an_augmenter_replaces_words(tiny_bert):
    augmenter = Augmenter(
        texts=["red mug"],
        tokenizer=load_tokenizer(str(tiny_bert)),
        max_tokens=6,
        config=AugmentationConfig(synonyms=0.99),
        synonyms={"mug": ("lamp",)},
    )

    found = {tuple(one) for one in augmenter([0] * 20, np.random.default_rng(0))}

    expected = load_tokenizer(str(tiny_bert))(["red lamp", "red mug"])["input_ids"]
    assert tuple(expected[0]) in found
    assert found <= {tuple(ids) for ids in expected}


@pytest.mark.parametrize("name", ["typos", "dropped_words", "synonyms"])
def test_a_probability_of_one_is_refused(name):
    with pytest.raises(ValueError, match=name):
        AugmentationConfig(**{name: 1.0})

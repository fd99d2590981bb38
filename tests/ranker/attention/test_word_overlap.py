import numpy as np
import pytest

from ranker.attention.word_overlap import (
    MAX_WORDS,
    PREFIX_WORDS,
    RARITY_STEP,
    SCALES,
    WordRarity,
    as_bytes,
    from_bytes,
    matches,
    words_of,
)

TEXTS = ["Halo 3 - Xbox 360", "halo 2 Xbox", "Wii", "Halo Wars, Xbox 360: the guide", ""]


@pytest.fixture
def rarity():
    return WordRarity.of(TEXTS)


def rarity_of(word):
    return np.log1p(len(TEXTS) / (1 + sum(word in words_of(text) for text in TEXTS)))


def test_words_are_the_first_distinct_words_in_lower_case():
    assert words_of("The Sims: the SIMS 2, naïve") == ["the", "sims", "2", "naïve"]
    assert len(words_of(" ".join(map(str, range(99))))) == MAX_WORDS


def test_matches_equal_measures_counted_word_by_word(rarity):
    words = rarity.read(TEXTS)

    measures = matches(words[:2], words) * SCALES

    assert measures.shape == (5, 2, 4)
    for place, text in enumerate(TEXTS):
        for item in range(2):
            mine, other = words_of(TEXTS[item]), words_of(text)
            both = set(mine) & set(other)
            prefix, limit = 0, min(len(mine), len(other), PREFIX_WORDS)
            while prefix < limit and mine[prefix] == other[prefix]:
                prefix += 1
            norms = [np.sqrt(sum(rarity_of(w) ** 2 for w in side)) for side in (mine, other)]
            expected = [
                sum(rarity_of(word) for word in both),
                sum(rarity_of(word) ** 2 for word in both) / max(norms[0] * norms[1], 1e-6),
                len(both),
                prefix,
            ]
            error = max(1, len(both)) * RARITY_STEP / 2  # a rarity is off by at most half a step
            np.testing.assert_allclose(measures[place, item], expected, atol=error)


def test_a_word_missing_from_the_corpus_is_the_rarest_and_still_matches(rarity):
    new = rarity.read(["Stadia controller", "stadia"])

    rarest, once = (rarity.read([word])[0, 0] & 255 for word in ("stadia", "wii"))
    assert rarest > once
    assert matches(new[:1], new[1:])[0, 0, 2] * SCALES[2] == 1


def test_words_survive_conversion_to_bytes_and_back(rarity):
    words = rarity.read(TEXTS)

    np.testing.assert_array_equal(from_bytes(as_bytes(words)), words)


def test_word_rarity_survives_saving_and_loading(rarity, tmp_path):
    rarity.save(tmp_path / "words.npz")

    np.testing.assert_array_equal(
        WordRarity.load(tmp_path / "words.npz").read(TEXTS), rarity.read(TEXTS)
    )

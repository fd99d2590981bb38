import numpy as np
import pytest

from ranker.attention.word_overlap import (
    BEGINNING,
    KEPT,
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


def test_words_are_the_first_distinct_ones_whatever_their_case():
    assert words_of("The Sims: the SIMS 2, naïve") == ["the", "sims", "2", "naïve"]
    assert len(words_of(" ".join(map(str, range(99))))) == KEPT


def test_matches_are_what_counting_words_one_by_one_gives(rarity):
    words = rarity.read(TEXTS)

    found = matches(words[:2], words) * SCALES

    assert found.shape == (5, 2, 4)
    for place, text in enumerate(TEXTS):
        for item in range(2):
            mine, other = words_of(TEXTS[item]), words_of(text)
            both = set(mine) & set(other)
            begin = 0
            while begin < min(len(mine), len(other), BEGINNING) and mine[begin] == other[begin]:
                begin += 1
            norms = [np.sqrt(sum(rarity_of(w) ** 2 for w in side)) for side in (mine, other)]
            expected = [
                sum(rarity_of(word) for word in both),
                sum(rarity_of(word) ** 2 for word in both) / max(norms[0] * norms[1], 1e-6),
                len(both),
                begin,
            ]
            halves = (
                max(1, len(both)) * RARITY_STEP / 2
            )  # each rarity is off by half a step at most
            np.testing.assert_allclose(found[place, item], expected, atol=halves)


def test_a_word_that_the_corpus_lacks_is_the_rarest_and_still_matches(rarity):
    new = rarity.read(["Stadia controller", "stadia"])

    rarest, once = (rarity.read([word])[0, 0] & 255 for word in ("stadia", "wii"))
    assert rarest > once
    assert matches(new[:1], new[1:])[0, 0, 2] * SCALES[2] == 1


def test_words_lie_in_bytes_as_they_were(rarity):
    words = rarity.read(TEXTS)

    np.testing.assert_array_equal(from_bytes(as_bytes(words)), words)


def test_rarity_comes_back_from_disk(rarity, tmp_path):
    rarity.save(tmp_path / "words.npz")

    np.testing.assert_array_equal(
        WordRarity.load(tmp_path / "words.npz").read(TEXTS), rarity.read(TEXTS)
    )

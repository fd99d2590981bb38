import logging

import numpy as np
import pytest

from backbone import synonyms
from backbone.config import AugmentationConfig
from backbone.synonyms import learnt_synonyms, synonyms_for

OTHERS = ["lamp", "chair", "spoon", "table", "brush", "clock", "shelf", "frame", "towel", "vase"]
ALIKE = [("mug", "cup"), ("red", "blue"), ("left", "right"), ("safe", "unsafe"), ("a4", "a5")]
APART = ("door", "gate")


def read(words):
    """States of words: alike for each pair that a backbone reads alike, different for others."""
    rng = np.random.default_rng(5)
    known = {word: rng.normal(size=48) for word in [*OTHERS, *APART]}
    for pair in ALIKE:
        vector = rng.normal(size=48)
        known |= {word: vector + 0.2 * rng.normal(size=48) for word in pair}
    found = np.array([known.get(word, rng.normal(size=48)) for word in words], np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.fixture
def titles():
    """Titles, each with a number of its own; the words of a pair have the same neighbours."""
    rng = np.random.default_rng(0)
    found = []
    for concept in [*((word,) for word in OTHERS), *ALIKE, APART]:
        before, after = ([f"{concept[0]}{side}{i}" for i in range(3)] for side in "xy")
        for word in concept:
            found += [
                f"{before[int(rng.integers(3))]} {word} {after[int(rng.integers(3))]} {len(found)}"
                for _ in range(25)
            ]
    found = [f"{title}{number}" for number, title in enumerate(found)]
    return [*found, "a redx1 red jug", "a redx1 blue jug", *["left or right handle"] * 9]


def learnt(titles, kinds=None, seed=1):
    return learnt_synonyms(titles, range(len(titles)) if kinds is None else kinds, read, seed)


@pytest.fixture(autouse=True)
def mild(monkeypatch):
    """Of 21 words whose half has a pair, cosines deviate much."""
    monkeypatch.setattr(synonyms, "LEAST_DEVIATIONS", 3.0)


def test_words_in_the_same_contexts_that_a_backbone_reads_alike_are_synonyms(titles):
    found = learnt(titles)

    assert found["mug"] == ("cup",)
    assert found["cup"] == ("mug",)


def test_a_word_that_tells_two_titles_apart_replaces_no_other(titles):
    assert "red" not in learnt(titles)
    assert learnt(titles, [0] * len(titles))["red"] == ("blue",)
    assert learnt(titles, [-1] * len(titles))["red"] == ("blue",)


def test_words_that_stand_in_one_text_are_no_synonyms(titles):
    without = [title for title in titles if " or " not in title]

    assert "left" not in learnt(titles)
    assert learnt(without)["left"] == ("right",)


def test_negations_sizes_and_words_that_the_backbone_reads_otherwise_are_no_synonyms(titles):
    assert not {"safe", "unsafe", "a4", "a5", *APART, *OTHERS} & learnt(titles).keys()


def test_rare_words_are_not_replaced(titles):
    four = [title for title in titles if "mug" not in title] + ["mugx1 mug mugy2"] * 4

    assert "cup" not in learnt(four)


def test_synonyms_repeat_and_are_learnt_from_a_sample_of_many_texts(titles, monkeypatch):
    assert learnt(titles) == learnt(titles)

    monkeypatch.setattr(synonyms, "MOST_TEXTS", 20)
    assert learnt(titles) == {}


def test_the_log_shows_some_pairs_or_warns_of_too_few_texts(titles, caplog):
    caplog.set_level(logging.INFO)
    learnt(titles)
    assert "mug ~ cup" in caplog.text or "cup ~ mug" in caplog.text

    assert learnt(["a red mug", "mug"]) == {}
    assert learnt([]) == {}
    assert "no synonyms were learnt from 2 texts" in caplog.text
    assert "5 texts" in caplog.text


def test_texts_of_one_word_teach_no_synonyms():
    assert learnt([word for word in [*OTHERS, "red", "blue"] for _ in range(6)]) == {}


def test_a_backbone_reads_the_words(titles, tiny_bert, tmp_path):
    none, some = AugmentationConfig(), AugmentationConfig(synonyms=0.5)
    options = {"backbone": str(tiny_bert), "seed": 1, "cache_below": tmp_path}

    assert synonyms_for(none, titles, range(len(titles)), **options) == {}
    assert not list(tmp_path.iterdir())
    synonyms_for(some, titles, range(len(titles)), **options)
    assert list(tmp_path.iterdir())

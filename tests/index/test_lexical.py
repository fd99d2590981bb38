import numpy as np
import pytest

from index.config import LexicalConfig
from index.lexical.lexical import Lexical

TEXTS = ["Red kettle, 2 l", "Blue kettles", "Desk lamp 24in", "Wooden desk", "Saw"]


@pytest.fixture
def lexical():
    return Lexical.of(TEXTS, LexicalConfig())


def found(lexical, search, size=10):
    return lexical.best(lexical.scores(search), size).tolist()


def test_stems_match(lexical):
    assert set(found(lexical, "kettles", 2)) == {0, 1}


def test_the_best_match_has_all_words_and_a_score_of_at_most_one(lexical):
    words = Lexical.of(TEXTS, LexicalConfig(piece=0))

    scores = words.scores("desk lamp")

    assert np.argmax(scores) == 2
    assert 0 < scores.max() <= 1
    assert words.scores("desk lamp unheardof").max() < scores.max()


def test_a_typo_finds_the_word_by_its_pieces_alone(lexical):
    whole = Lexical.of(TEXTS, LexicalConfig(piece=0))

    assert found(lexical, "kettel", 2) == [0, 1] or found(lexical, "kettel", 2) == [1, 0]
    assert found(whole, "kettel") == []


def test_digits_and_letters_match_apart(lexical):
    assert found(lexical, "24 in", 1) == [2]


def test_a_search_without_a_known_word_finds_nothing(lexical):
    assert found(lexical, "§§") == []
    assert found(lexical, "") == []


def test_a_loaded_source_scores_as_before(lexical, tmp_path):
    lexical.save(tmp_path)

    loaded = Lexical.load(tmp_path)

    np.testing.assert_array_equal(loaded.scores("desk kettle"), lexical.scores("desk kettle"))
    assert Lexical.load(tmp_path / "nowhere") is None


def test_an_added_item_scores_like_the_same_text_of_the_corpus(lexical):
    after = lexical.with_added(["Nothing alike", TEXTS[2]])

    scores = after.scores("desk lamp")

    assert len(scores) == len(TEXTS) + 2
    assert scores[-1] == pytest.approx(scores[2], rel=1e-5)
    np.testing.assert_array_equal(lexical.scores("desk lamp"), scores[: len(TEXTS)])


def test_a_successor_that_was_given_up_leaves_nothing_behind(lexical):
    first = lexical.with_added(["Desk"])
    first.with_added(["Lamp"])  # given up

    second = first.with_added(["Saw"])

    assert second.scores("lamp")[-1] == 0
    assert second.scores("saw")[-1] > 0
    assert len(first.scores("saw")) == len(TEXTS) + 1


def test_only_allowed_rows_are_chosen(lexical):
    scores = lexical.scores("desk")

    assert lexical.best(scores, 5, np.array([0, 3])).tolist() == [3]


def test_texts_without_a_token_can_be_indexed():
    empty = Lexical.of(["§", "§§"], LexicalConfig())

    assert empty.scores("§ word").tolist() == [0, 0]


@pytest.mark.parametrize("option", [{"b": 2.0}, {"k1": -1.0}, {"pieces": -0.1}, {"weight": -1.0}])
def test_nonsense_options_are_refused(option):
    (name,) = option
    with pytest.raises(ValueError, match=name):
        LexicalConfig(**option)


def test_words_are_numbered_by_first_appearance_so_that_files_of_two_runs_are_equal(lexical):
    words = list(lexical.words.index.vocab_dict)

    assert words == list(
        dict.fromkeys(word for text in TEXTS for word in lexical.analyzer.words(text))
    )

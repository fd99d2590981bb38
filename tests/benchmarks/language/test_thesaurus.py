import pytest

from benchmarks.language.thesaurus import reworded, wordnet

SYNONYMS = {"buy": ("purchase",), "purchase": ("buy",)}
INDEX = """  1 licence
buy v 2 1 @ 2 2 00000100 00000200
get v 1 1 @ 1 1 00000200
odd v 1 1 @ 1 0 00000100
purchase v 1 1 @ 1 1 00000100
"""
COUNTS = """buy%2:40:00:: 1 30
buy%2:40:01:: 2 9
get%2:40:00:: 1 9
odd%2:40:00:: 1 1
purchase%2:40:00:: 1 4
"""


@pytest.fixture
def folder(tmp_path):
    for name in ("noun", "verb", "adj", "adv"):
        (tmp_path / f"index.{name}").write_text(INDEX if name == "verb" else "  1 licence\n")
    (tmp_path / "cntlist.rev").write_text(COUNTS)
    return tmp_path


def test_words_that_share_their_most_frequent_sense_are_synonyms(folder):
    assert wordnet(folder) == SYNONYMS


def test_a_share_of_all_words_is_replaced_by_synonyms():
    texts = ["Buy two red mugs"] * 400

    found = reworded(texts, 0.1, 3, SYNONYMS)

    assert set(found) == {"Buy two red mugs", "Purchase two red mugs"}
    assert 0.06 < found.count("Purchase two red mugs") / (4 * 400) < 0.14
    assert found == reworded(texts, 0.1, 3, SYNONYMS)
    assert set(reworded(texts, 0.5, 3, SYNONYMS)) == {"Purchase two red mugs"}
    assert reworded(["red mug"], 0.5, 3, SYNONYMS) == ["red mug"]

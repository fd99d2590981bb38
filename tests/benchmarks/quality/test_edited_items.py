import random

import pytest

from benchmarks.quality.edited_items import EDITS, EditedItemsConfig, compare, without_a_word


def test_an_edit_changes_a_title_as_its_name_says():
    edited = {name: edit("Red mug", random.Random(0)) for name, edit in EDITS.items()}

    assert edited["a word less"] in ("Red", "mug")
    assert edited["case swapped"] == "rED MUG"
    assert edited["a word more"] == "Red mug new"
    assert without_a_word("Mug", random.Random(0)) == "Mug"


@pytest.mark.training
def test_edited_items_are_compared_with_what_they_were(release):
    figures = compare(EditedItemsConfig(share=0.1), release)

    assert set(figures) == {"unedited", *EDITS, *(f"{name} − unedited" for name in EDITS)}
    assert all(set(by_k) == {"recall@10", "recall@100"} for by_k in figures.values())


def test_users_are_at_least_one():
    with pytest.raises(ValueError, match="max_users must be at least 1, got 0"):
        EditedItemsConfig(max_users=0)


@pytest.mark.parametrize("share", [0, 1.1])
def test_a_share_is_above_0_and_at_most_1(share):
    with pytest.raises(ValueError, match=r"share must be in \(0, 1\], got"):
        EditedItemsConfig(share=share)

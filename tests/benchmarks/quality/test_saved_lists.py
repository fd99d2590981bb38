import numpy as np
import polars as pl
import pytest

from benchmarks.quality.saved_lists import evaluation_users, saved_lists, without

ITEM_IDS = ["i0", "i1", "i2", "i3", "i4"]
HISTORIES = [np.array([2], np.int32), np.array([0, 4], np.int32)]


@pytest.fixture
def folder(tmp_path):
    users = pl.DataFrame({"row": [2, 0, 1], "user_id": ["c", "a", "b"]})
    users.write_parquet(tmp_path / "eval_users_6k.parquet")
    pl.DataFrame(
        {
            "method": ["sasrec"] * 3 + ["bpr"] * 3,
            "row": [0, 1, 2] * 2,
            "user_id": ["a", "b", "c"] * 2,
            "item_ids": [
                ["i2", "i1", "i0"],
                ["i4", "i3", "i0"],
                ["i0", "gone", "i1"],
                ["i1", "i2", "i3"],
                ["i3", "i2", "i1"],
                ["i4", "i3", "i2"],
            ],
        }
    ).write_parquet(tmp_path / "saved_baselines.parquet")
    return tmp_path


def test_evaluation_users_are_in_the_order_of_their_rows(folder):
    assert evaluation_users(folder) == ["a", "b", "c"]


def test_a_folder_without_saved_files_has_no_users_and_no_lists(tmp_path):
    assert evaluation_users(tmp_path) is None
    assert saved_lists(tmp_path, user_ids=["a"], item_ids=ITEM_IDS, excluded=HISTORIES[:1]) == {}


def test_saved_lists_are_in_the_order_of_users_without_history_and_unknown_items(folder):
    found = saved_lists(folder, user_ids=["c", "b"], item_ids=ITEM_IDS, excluded=HISTORIES)

    assert list(found) == ["bpr", "sasrec"]
    np.testing.assert_array_equal(found["sasrec"], [[0, 1, -1], [3, -1, -1]])
    np.testing.assert_array_equal(found["bpr"], [[4, 3, -1], [3, 2, 1]])
    assert found["bpr"].dtype == np.int32


def test_a_user_without_a_list_is_refused(folder):
    with pytest.raises(ValueError, match="must hold one list of 'bpr' per user, got 0"):
        saved_lists(folder, user_ids=["a", "nobody"], item_ids=ITEM_IDS, excluded=HISTORIES)


def test_items_after_a_removed_item_move_up_in_order():
    lists = np.array([[5, 1, -1, 3, 2]])

    np.testing.assert_array_equal(without(lists, [np.array([1])]), [[5, 3, 2, -1, -1]])

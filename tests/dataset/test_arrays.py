import dataclasses

import numpy as np
import pytest

from dataset.arrays import Dataset, StringColumn, load_dataset, save_dataset
from dataset.baskets import PARTS
from dataset.interaction_codes import MICROSECONDS

STRINGS = ["", "plain", "Été", "日本語", "🎮🎮", "tab\tand\nline", " ", "é"]


@pytest.fixture
def data():
    """Three users, four items: the second user buys item 1 again, the third has no history."""
    return Dataset(
        item_ids=StringColumn.of(["a", "b", "c", "d"]),
        titles=StringColumn.of(STRINGS[:4]),
        texts=StringColumn.of(STRINGS[4:]),
        user_ids=StringColumn.of(["u", "v", "w"]),
        offsets=np.array([0, 4, 8, 9]),
        items=np.array([0, 1, 2, 3, 1, 2, 1, 3, 0], np.int32),
        times=MICROSECONDS * np.array([1, 2, 2, 90, 5, 3_600 + 5, 90_000, 90_000, 7]),
        timed=True,
        moments=np.array([0, 1, 1, 2, 0, 1, 2, 2, 0], np.int32),
        actions=np.array([1, 1, 2, 2, 0, 0, 1, 2, 1], np.int32),
        action_names=["buy", "view"],
        splits=np.array([0, 0, 1, 2, 0, 1, 2, 2, 2], np.uint8),
        popularity=np.array([1.0, 2.0, 0.0, 0.0]),
        action_weights={"": 0.125, "buy": 1.0, "view": 0.125, "hide": -np.inf},
        exclude=["buy"],
        repeats=30.0,
    )


def test_the_last_fit_learns_every_split_and_the_refit_all_but_the_test(data):
    refit, last = data.for_refit(), data.for_last_fit()

    assert refit.splits.tolist() == [0, 0, 0, 2, 0, 0, 2, 2, 2]
    assert last.splits.tolist() == [0] * 9
    assert refit.popularity.tolist() == [1, 1.125, 0.25, 0]
    assert last.popularity.tolist() == [2, 2, 0.25, 0.25]
    assert last.cases("test").places.tolist() == []


def test_a_string_column_is_equal_after_saving_and_loading(tmp_path):
    StringColumn.save(tmp_path, "titles", STRINGS)

    column = StringColumn.load(tmp_path, "titles")

    assert list(column) == STRINGS
    assert column[2:5] == STRINGS[2:5]
    assert column[-1] == STRINGS[-1]
    assert len(column) == len(STRINGS)


@pytest.mark.parametrize("row", [8, -9])
def test_a_row_outside_the_column_is_refused(row):
    with pytest.raises(IndexError, match="row must be within 8 strings"):
        StringColumn.of(STRINGS)[row]


SMALL = ("timed", "action_names", "action_weights", "exclude", "repeats")


def test_a_dataset_is_equal_after_saving_and_loading(data, tmp_path):
    save_dataset(tmp_path, data)

    loaded = load_dataset(tmp_path)

    for field in dataclasses.fields(Dataset):
        before, after = getattr(data, field.name), getattr(loaded, field.name)
        if after is None or field.name in SMALL:
            assert after == before
        elif field.name == "purchases_without_user":
            for part in PARTS:
                np.testing.assert_array_equal(getattr(before, part), getattr(after, part))
        else:
            assert list(before) == list(after), field.name
            assert isinstance(after, StringColumn | np.ndarray)


def test_a_history_holds_only_earlier_splits(data):
    assert data.history(0).tolist() == [0, 1]
    assert data.history(0, before=2).tolist() == [0, 1, 2]
    assert data.history(2).tolist() == []


def test_a_history_is_all_before_the_moment_of_its_targets(data):
    valid, test = data.cases("valid"), data.cases("test")

    assert valid.user_rows.tolist() == [0, 1]
    assert [h.tolist() for h in valid.histories] == [[0], [1]]  # item 1 shares its moment
    assert [t.tolist() for t in valid.targets] == [[2], [2]]
    assert [h.tolist() for h in test.histories] == [[0, 1, 2], [1, 2]]


def test_bought_items_of_the_history_are_no_targets(data):
    bought = dataclasses.replace(data, action_weights={}, exclude=[], repeats=None)

    assert [t.tolist() for t in bought.cases("test").targets] == [[3], [3]]


def test_viewed_items_of_the_history_are_targets_once_they_are_bought(data):
    assert [t.tolist() for t in data.cases("test").targets] == [[3], [1, 3]]


def test_earlier_moments_of_a_split_are_history_of_its_later_ones(data):
    rolling = dataclasses.replace(
        data,
        moments=np.array([0, 1, 1, 2, 0, 1, 2, 3, 0], np.int32),
        items=np.array([0, 1, 2, 3, 1, 2, 0, 3, 0], np.int32),
        splits=np.array([0, 2, 2, 2, 0, 1, 2, 2, 2], np.uint8),
    )

    cases = rolling.cases("test")

    assert cases.places.tolist() == [1, 3, 6, 7]
    assert cases.user_rows.tolist() == [0, 0, 1, 1]
    assert [h.tolist() for h in cases.histories] == [[0], [0, 1, 2], [1, 2], [1, 2, 0]]
    assert [t.tolist() for t in cases.targets] == [[1, 2], [3], [0], [3]]
    assert [len(codes) for codes in cases.interaction_codes] == [1, 3, 2, 3]
    assert rolling.cases("valid").places.tolist() == [5]


def test_a_sample_of_users_has_all_their_cases(shop):
    cases = replace_moments(shop).cases("test")

    chosen = cases.sample_users(20, 3)

    users = np.unique(chosen.user_rows)
    assert len(users) == 20
    assert len(chosen) == np.isin(cases.user_rows, users).sum() == 60


def replace_moments(shop):
    """The shop with three test moments of each user."""
    splits = np.tile(np.array([0, 0, 0, 1, 2, 2, 2], np.uint8), shop.users)
    return dataclasses.replace(shop, splits=splits)


def test_a_user_without_a_history_is_no_case(data):
    assert 2 not in data.cases("test").user_rows


def test_cases_at_places_are_in_the_order_of_the_places(shop):
    cases = shop.cases("valid")
    places = cases.places[[5, 2, 9]]

    found = cases.at(places)

    np.testing.assert_array_equal(found.places, places)
    np.testing.assert_array_equal(found.targets[1], cases.targets[2])
    with pytest.raises(ValueError, match="places must be of moments with a case"):
        found.at(np.array([cases.places[0]]))


def test_the_place_of_a_string_is_found_by_code_point():
    strings = sorted(["", "a", "ab", "b", "é", "日本", "\uffff", "\U0001f3ae"])
    column = StringColumn.of(strings)

    assert [column.place(string) for string in strings] == list(range(len(strings)))
    assert [column.place(string) for string in ("A", "aa", "z", "\ud800", "\U0010ffff")] == [
        None
    ] * 5
    assert StringColumn.of([]).place("a") is None

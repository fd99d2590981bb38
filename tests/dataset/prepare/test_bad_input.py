import re
import time
from dataclasses import replace
from datetime import datetime

import polars as pl
import pytest

from dataset.config import DataConfig
from dataset.prepare.build import build
from dataset.prepare.sources import open_source
from dataset.prepare.validation import InputError

ITEMS, EVENTS = "items.parquet", "interactions.parquet"
SEVEN = 7
REMEDY = re.compile(
    r"\b(write|drop|export|correct|fill|keep|map|shorten|remove|number|put|name|change) "
)
"""Begins what to do about a broken rule"""
START = 1_700_000_000


@pytest.fixture
def refusal(make_folder, tmp_path):
    """The message of `build` for a dataset that it must refuse."""

    def build_and_catch(items=None, events=None, **options):
        folder = make_folder(items, events)
        with pytest.raises(InputError) as caught:
            build(DataConfig(**options), open_source(str(folder)), tmp_path / "out")
        assert not (tmp_path / "out").exists()
        for line in str(caught.value).splitlines():
            said = re.sub("(the first are|first rows):$", "", line)
            assert REMEDY.search(said) or re.match(r"\||\d+ rules are broken", line), line
        return str(caught.value)

    return build_and_catch


@pytest.mark.parametrize("column", ["item_id", "title"])
def test_a_missing_item_column_is_named_with_the_existing_columns(refusal, column):
    message = refusal({column: None})

    assert ITEMS in message
    assert f"column '{column}' must exist" in message
    assert "'description'" in message


@pytest.mark.parametrize("column", ["user_id", "item_id"])
def test_a_missing_interaction_column_is_named(refusal, column):
    message = refusal(events={column: None})

    assert EVENTS in message
    assert f"column '{column}' must exist" in message


def test_interactions_need_a_timestamp_or_an_order(refusal):
    message = refusal(events={"timestamp": None})

    assert "column 'timestamp' or 'order' must exist" in message


@pytest.mark.parametrize(
    ("items", "events", "expected"),
    [
        ({"item_id": [0.5, 1.5, 2.5, 3.5]}, {}, "'item_id' must be text or whole numbers"),
        ({"title": [1, 2, 3, 4]}, {}, "'title' must be text, got Int64"),
        ({}, {"user_id": [0.5] * SEVEN}, "'user_id' must be text or whole numbers, got 7 rows"),
        ({}, {"user_id": [True] * SEVEN}, "'user_id' must be text or whole numbers, got Boolean"),
        ({}, {"order": ["first"] * SEVEN}, "'order' must be whole numbers, got String"),
        ({}, {"timestamp": [True] * SEVEN}, "'timestamp' must be numbers, dates or ISO 8601"),
        ({}, {"split": [1] * SEVEN}, "'split' must be text, got Int64"),
    ],
)
def test_a_column_of_the_wrong_type_is_named_with_its_type_and_first_rows(
    refusal, items, events, expected
):
    message = refusal(items, events)

    assert expected in message
    assert message.count("\n|") >= 3


def test_an_empty_catalogue_is_refused(make_folder, tmp_path):
    folder = make_folder()
    pl.read_parquet(folder / ITEMS).clear().write_parquet(folder / ITEMS)

    with pytest.raises(InputError, match=f"{ITEMS}: the table must have rows, got none"):
        build(DataConfig(), open_source(str(folder)), tmp_path / "out")


def test_duplicate_item_ids_are_shown_with_their_rows(refusal):
    message = refusal({"item_id": ["a", "b", "c", "b"]})

    assert f"{ITEMS}: column 'item_id' must be unique, got 2 rows" in message
    assert "| 2   | b       |" in message
    assert "| 4   | b       |" in message


@pytest.mark.parametrize(
    ("items", "events"),
    [
        ({"item_id": ["a", None, "c", "d"]}, {}),
        ({"item_id": ["a", " ", "c", "d"]}, {}),
        ({}, {"user_id": ["u", None, "u", "v", "v", "v", "w"]}),
        ({}, {"item_id": ["a", "", "c", "b", "a", "b", "d"]}),
    ],
)
def test_null_or_empty_ids_are_refused(refusal, items, events):
    message = refusal(items, events)

    assert "must not be null or empty, got 1 row that" in message
    assert "\n| 2 " in message


def test_a_timestamp_in_the_future_is_shown(refusal):
    future = int(time.time()) + 10 * 86_400

    message = refusal(events={"timestamp": [*[START] * 3, future, *[START] * 3]})

    assert f"{EVENTS}: column 'timestamp' must not be in the future (drop or" in message
    assert "got 1 row that" in message
    assert f"| 4   | {future} " in message


@pytest.mark.parametrize(
    "later",
    [
        pl.Series([2**63 - 1] * SEVEN).cast(pl.Datetime("ms")),
        pl.Series([9_999_999] * SEVEN, dtype=pl.Int32).cast(pl.Date),
        ["9999-12-31"] * SEVEN,
        [2**62] * SEVEN,
    ],
)
def test_times_beyond_all_years_are_in_the_future(refusal, later):
    message = refusal(events={"timestamp": later})

    assert "column 'timestamp' must not be in the future" in message
    assert "got 7 rows" in message


@pytest.mark.parametrize(
    "bad",
    [
        ["2020-01-01"] * 5 + ["yesterday", None],
        [1.0] * 5 + [float("nan"), float("inf")],
        [datetime(2020, 1, 1)] * 5 + [None, None],
    ],
)
def test_an_unreadable_timestamp_is_shown(refusal, bad):
    message = refusal(events={"timestamp": bad})

    assert "column 'timestamp' must be a readable time (write 2024-12-31T14:05" in message
    assert "got 2 rows" in message
    assert "\n| 6 " in message


def test_dates_whose_day_and_month_are_unclear_are_refused(refusal):
    message = refusal(events={"timestamp": ["2020-01-01"] * 4 + ["03/04/2024 02:05 PM"] * 3})

    assert "must show whether day or month comes first (write 2024-04-03 for" in message
    assert "got 3 rows" in message
    assert "\n| 5   | 03/04/2024 02:05 PM |" in message


@pytest.mark.parametrize(
    "unknown",
    [
        [0, -1, 1, START, START, START, START],
        [datetime(1900, 1, 1)] * 3 + [datetime(2020, 1, 1)] * 4,
        ["1900-01-01", "1970-01-01", "1999-12-31T23:59:59Z"] + ["2000-01-01"] * 4,
        [946_684_799_999, 0, 19_991_231, *[946_684_800] * 4],
    ],
)
def test_timestamps_that_stand_for_an_unknown_time_are_refused(refusal, unknown):
    message = refusal(events={"timestamp": unknown})

    assert "column 'timestamp' must not be before 2000-01-01 (drop rows of unknown" in message
    assert "got 3 rows" in message


def test_an_option_allows_older_times_and_a_source_may_state_its_own(make_folder, tmp_path):
    source = open_source(str(make_folder(events={"timestamp": [800_000_000] * SEVEN})))

    build(DataConfig(earliest="1990-01-01"), source, tmp_path / "out")
    build(DataConfig(), replace(source, earliest="1990-01-01"), tmp_path / "out")


@pytest.mark.parametrize("places", [[2**63] * SEVEN, [2**64 - 1] * SEVEN])
def test_an_order_that_int64_does_not_hold_is_refused(refusal, places):
    message = refusal(events={"order": pl.Series(places, dtype=pl.UInt64)})

    assert "column 'order' must be below 2^63, got 7 rows" in message


@pytest.mark.parametrize(
    "until",
    [
        pl.Series([2**63 - 1] * 4).cast(pl.Datetime("ms")),
        pl.Series([9_999_999] * 4, dtype=pl.Int32).cast(pl.Date),
    ],
)
def test_an_attribute_beyond_the_years_of_python_is_shown(refusal, until):
    message = refusal({"valid_until": until})

    assert f"{ITEMS}: column 'valid_until' must be within the years 1 to 9999, got 4" in message
    assert message.count("\n| ") >= 4


def test_a_null_order_is_refused(refusal):
    message = refusal(events={"order": [0, 1, None, 0, 1, 2, 0]})

    assert "column 'order' must not be null" in message


@pytest.mark.parametrize("unknown", ["dev", "Train", None])
def test_an_unknown_split_is_shown(refusal, unknown):
    message = refusal(events={"split": ["train", unknown, *["train"] * 5]})

    assert "column 'split' must be train, valid or test, got 1 row that" in message


def test_a_stated_split_without_training_rows_is_refused(refusal):
    message = refusal(events={"split": ["test"] * SEVEN})

    assert f"{EVENTS}: column 'split' must leave training rows" in message
    assert "'train': 0" in message
    assert "| u       | a       | test" in message


def test_a_time_cut_without_training_rows_is_refused(refusal):
    message = refusal(events={"timestamp": [START] * SEVEN}, split="time-cut")

    assert "split must be auto or leave-one-out for too few times to cut by" in message
    assert "from 2023-11-14 to 2023-11-14" in message


def test_cuts_before_the_data_are_named_with_the_days_of_the_data(refusal):
    message = refusal(cuts=("2020-01-01", "2020-02-01"), split="time-cut")

    assert "cuts must leave training rows before the first day, got ['2020-01-01', " in message
    assert "from 2023-11-14 to 2023-11-14; change `cuts` in data.yaml" in message


def test_a_time_cut_needs_timestamps(refusal):
    message = refusal(events={"timestamp": None, "order": [0] * SEVEN}, split="time-cut")

    assert "split must be auto or leave-one-out without times, got time-cut" in message
    assert "a column 'timestamp', or change `split` in data.yaml" in message


def test_a_rule_that_drops_all_rows_is_named(refusal):
    message = refusal(user_core=100)

    assert (
        "must have rows left after the rule 'user core 100, item core 1', got none of 7" in message
    )


def test_a_missing_catalogue_is_named(make_folder):
    folder = make_folder()
    (folder / ITEMS).unlink()

    with pytest.raises(InputError, match="items must exist"):
        open_source(str(folder))


def test_a_missing_folder_is_named_with_the_accepted_sources(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: dataset must be `ml-100k` or a folder with"):
        open_source(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("content", [b"", b"not parquet at all", b"PAR1" + bytes(50) + b"PAR1"])
def test_a_file_that_is_not_parquet_is_named(make_folder, tmp_path, content):
    folder = make_folder()
    (folder / ITEMS).write_bytes(content)

    with pytest.raises(InputError, match=f"{ITEMS}: must be a readable parquet file"):
        build(DataConfig(), open_source(str(folder)), tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"token_budget": 0}, "token_budget must be at least 1, got 0"),
        ({"user_core": 0}, "user_core must be at least 1, got 0"),
        ({"item_core": -1}, "item_core must be at least 1, got -1"),
        ({"valid_share": 0.0}, "valid_share must be between 0 and 1, got 0.0"),
        ({"valid_share": 0.5, "test_share": 0.5}, r"valid_share \+ test_share must be below 1"),
        ({"earliest": "soon"}, "earliest must be a date like 2000-01-31, got 'soon'"),
        ({"burst_seconds": -1}, "burst_seconds must be at least 0, got -1"),
        ({"daily_cap": -1}, "daily_cap must be at least 0, got -1"),
        ({"account_cap": float("nan")}, "account_cap must be at least 0, got nan"),
        ({"basket_minutes": -1}, "basket_minutes must be at least 0, got -1"),
        ({"basket_minutes": float("nan")}, "basket_minutes must be at least 0, got nan"),
        ({"fields": ()}, "fields must be distinct names"),
        ({"fields": ("title", "title")}, "fields must be distinct names"),
    ],
)
def test_an_invalid_option_is_named(options, expected):
    with pytest.raises(ValueError, match=expected):
        DataConfig(**options)


def test_the_broken_rules_of_both_tables_are_reported_together(refusal):
    message = refusal(
        {"item_id": ["a", "b", "b", None]},
        {"user_id": ["u"] * 6 + [""], "split": ["Train"] * SEVEN, "action": [1] * SEVEN},
    )

    assert message.startswith("5 rules are broken:")
    for column, file in (
        ("'item_id' must be unique", ITEMS),
        ("'item_id' must not be null", ITEMS),
        ("'user_id' must not be null", EVENTS),
        ("'split' must be train", EVENTS),
        ("'action' must be text", EVENTS),
    ):
        assert f"{file}: column {column}" in message


def test_both_missing_files_are_reported_with_what_is_there(tmp_path):
    (tmp_path / "products.csv").write_text("a,b")

    with pytest.raises(InputError) as caught:
        open_source(str(tmp_path))

    assert "items must exist" in str(caught.value)
    assert "`items: products.csv`" in str(caught.value)
    assert "interactions must exist" in str(caught.value)


@pytest.mark.parametrize(
    ("ids", "shown"),
    [
        (["000a", "000b", "000c", "000d"], "'a' / '000a'"),
        (["a ", "b ", "c ", "d "], "'a' / 'a '"),
        (["A", "B", "C", "D"], "'a' / 'A'"),
        (["x-1", "x-2", "x-3", "x-4"], "'a' / 'x-1'"),
    ],
)
def test_ids_that_match_no_item_are_shown_beside_the_items(refusal, ids, shown):
    message = refusal({"item_id": ids})

    assert "7 of 7 interactions name items that the catalogue lacks" in message
    assert shown in message
    assert "write the ids alike in both tables" in message

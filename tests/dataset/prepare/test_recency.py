from datetime import date, datetime

import pytest

from dataset.arrays import LONG_AGO, load_dataset
from dataset.config import NOTES, DataConfig
from dataset.prepare.build import build
from dataset.prepare.sources import open_source
from lineage.manifest import read_manifest

DAY = 86_400
EARLY, LATE = date(2024, 1, 1), date(2024, 5, 1)
SECONDS = [1_704_067_200, 1_714_521_600]


@pytest.fixture
def built(make_folder, tmp_path):
    """Arrays and notes of a shop whose items have a column; without interactions by default."""

    def run(column=None, values=None, *, sold=False, **options):
        folder = make_folder(None if column is None else {column: values})
        if not sold:
            (folder / "interactions.parquet").unlink()
        build(
            DataConfig(**options),
            open_source(str(folder), config=DataConfig(**options)),
            tmp_path / "data",
        )
        return load_dataset(tmp_path / "data"), read_manifest(tmp_path / "data", "data").facts

    return run


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("added", [LATE, EARLY, None, LATE]),
        ("Created_At", [datetime(2024, 5, 1), datetime(2024, 1, 1), None, datetime(2024, 5, 1)]),
        ("timestamp", [SECONDS[1], SECONDS[0], None, SECONDS[1]]),
        ("date added", ["2024-05-01", "2024-01-01", None, "2024-05-01T00:00:00Z"]),
    ],
)
def test_the_time_of_an_item_is_read_from_a_column_of_a_known_name(built, column, values):
    data, facts = built(column, values)

    times = dict(zip(data.item_ids, data.added.tolist(), strict=True))
    early, late = SECONDS
    assert times == {"a": late, "b": early, "c": LONG_AGO, "d": late}
    assert [note for note in facts[NOTES] if f"the latest '{column}' come first" in note]


def test_another_column_is_mapped_and_beats_the_known_names(built):
    data, facts = built("erfasst", [LATE, LATE, EARLY, EARLY], columns={"erfasst": "added"})

    assert (data.added > SECONDS[0]).sum() == 2
    assert any("'added'" in note for note in facts[NOTES])


@pytest.mark.parametrize("column", [None, "since", "released"])
def test_no_column_and_one_without_times_leave_the_order_as_it_was(built, tmp_path, column):
    data, facts = built(column, ["yes", "no", "yes", "no"])

    assert data.added is None
    assert not (tmp_path / "data" / "added.npy").exists()
    assert not any("come first" in note for note in facts[NOTES])


def test_a_shop_with_sales_has_the_times_too(built):
    data, _ = built("added", [LATE, EARLY, None, LATE], sold=True)

    assert len(data.items)
    assert (data.for_last_fit().added == data.added).all()

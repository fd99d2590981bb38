from pathlib import Path

import polars as pl
import pytest

from dataset.prepare.time_zones import note_on_zones
from dataset.prepare.validation import Table


def note(*times):
    frame = pl.LazyFrame({"timestamp": list(times)})
    return note_on_zones(Table(frame=frame, path=Path("interactions.csv"), files=()))


@pytest.mark.parametrize(
    "zoned",
    [
        "2024-12-31T14:05:00Z",
        "2024-12-31 14:05:00.25+01:00",
        "31.12.2024 14:05 UTC",
        "20241231T140500Z",
        "2024-12-31T14:05:00-0500",
    ],
)
def test_times_with_and_without_a_zone_are_counted(zoned):
    assert note(zoned, "2024-12-31 14:05", "2024-12-31", None, "1735653900").startswith(
        "column 'timestamp' has 1 time with a zone and 2 without, which are read as UTC"
    )


def test_times_of_one_kind_need_no_note():
    assert note("2024-12-31T14:05:00Z", "2024-12-31T14:05:00+02:00", "1735653900") == ""
    assert note("2024-12-31 14:05", "2024-12-31", "31/12/2024 02:05 PM") == ""
    assert note(1_735_653_900) == ""

import polars as pl
import pytest

from dataset.arrays import load_dataset
from dataset.config import DataConfig
from dataset.interaction_codes import MICROSECONDS
from dataset.prepare.build import build
from dataset.prepare.events_file import write_events
from dataset.prepare.sources import shop_folder
from shortlist_client.api.event import Event

START = 1_700_000_000


def event(n, action="purchase"):
    return Event(
        event_id=str(n), user_id=f"u{n % 3}", item_id=f"i{n}", action=action, time=START + n
    )


def test_the_data_stage_reads_exported_events(tmp_path):
    shop = tmp_path / "shop"
    shop.mkdir()
    items = pl.DataFrame({"item_id": [f"i{n}" for n in range(9)], "title": ["a mug"] * 9})
    items.write_parquet(shop / "items.parquet")

    rows = write_events(map(event, range(9)), shop / "interactions.parquet", ["purchase"])

    build(DataConfig(), shop_folder(shop), tmp_path / "data")
    data = load_dataset(tmp_path / "data")
    assert rows == 9
    user = list(data.user_ids).index("u1")
    span = slice(data.offsets[user], data.offsets[user + 1])
    assert [data.item_ids[row] for row in data.items[span]] == ["i1", "i4", "i7"]
    assert list(data.times[span]) == [(START + n) * MICROSECONDS for n in (1, 4, 7)]
    assert list(data.action_names) == ["purchase"]


def test_other_actions_are_left_out_and_equal_events_give_equal_bytes(tmp_path):
    events = [event(1), event(2, "click"), event(3, "view")]
    path = tmp_path / "events.parquet"

    assert write_events(events, path, ["purchase", "view"]) == 2
    before = path.read_bytes()
    assert write_events(events, path, ["purchase", "view"]) == 2

    assert path.read_bytes() == before
    assert pl.read_parquet(path)["action"].to_list() == ["purchase", "view"]


def test_no_events_give_an_empty_table(tmp_path):
    assert write_events([], tmp_path / "events.parquet", ["purchase"]) == 0
    assert pl.read_parquet(tmp_path / "events.parquet").columns == [
        "user_id",
        "item_id",
        "timestamp",
        "action",
    ]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "events.parquet"
    write_events([event(1)], path, ["purchase"])
    before = path.read_bytes()

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr("lineage.whole_files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_events([event(1), event(2)], path, ["purchase"])

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]

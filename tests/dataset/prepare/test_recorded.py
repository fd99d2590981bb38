"""Events that servers recorded join the interactions of a rebuild."""

import pytest

from dataset.__main__ import main
from dataset.arrays import load_dataset
from dataset.config import DataConfig
from dataset.prepare.build import build, is_current
from dataset.prepare.events_file import write_events
from dataset.prepare.sources import shop_folder
from dataset.prepare.validation import InputError
from shortlist_client.api.event import Event

DAY = 86_400
CONFIG = DataConfig(earliest="1970-01-01")


@pytest.fixture
def recorded(tmp_path):
    """Writes recorded events, each of a user, an item, a time and an action."""

    def recorded(*rows):
        events = [
            Event(event_id=str(n), user_id=user, item_id=item, time=time, action=action)
            for n, (user, item, time, action) in enumerate(rows)
        ]
        path = tmp_path / "recorded.parquet"
        write_events(events, path, {"purchase", "view"})
        return path

    return recorded


def histories(folder, out, recorded, config=CONFIG):
    build(config, shop_folder(folder), out, recorded=recorded)
    data = load_dataset(out)
    return {
        user: [data.item_ids[item] for item in data.history(row, before=3)]
        for row, user in enumerate(data.user_ids)
    }


def test_recorded_events_lengthen_histories_and_bring_users(make_folder, recorded, tmp_path):
    folder = make_folder(
        events={"user_id": ["u", "u"], "item_id": ["a", "b"], "timestamp": [1, 2 * DAY]}
    )
    events = recorded(("u", "c", DAY, "view"), ("new", "a", 3 * DAY, "purchase"))

    found = histories(folder, tmp_path / "data", events)

    assert found == {"u": ["a", "c", "b"], "new": ["a"]}


def test_an_event_that_the_shop_exports_too_counts_once(make_folder, recorded, tmp_path):
    folder = make_folder(
        events={
            "user_id": ["u", "u"],
            "item_id": ["a", "b"],
            "timestamp": [1, 2 * DAY],
            "action": ["Purchase", "purchase"],
            "basket": ["1", "2"],
        }
    )
    events = recorded(("u", "b", 2 * DAY + 1, "purchase"), ("u", "c", 3 * DAY, "purchase"))

    assert histories(folder, tmp_path / "data", events) == {"u": ["a", "b", "c"]}


def test_the_stage_is_outdated_when_more_was_recorded(make_folder, recorded, tmp_path):
    folder = make_folder(
        events={"user_id": ["u", "u"], "item_id": ["a", "b"], "timestamp": [1, 2 * DAY]}
    )
    out, events = tmp_path / "shop" / "data", recorded(("u", "c", DAY, "view"))
    source = shop_folder(folder)

    main(
        [
            *("--dataset", str(folder), "--artifacts", str(out.parent.parent)),
            *("--earliest", "1970-01-01", "--recorded", str(events)),
        ]
    )

    out = out.parent.parent / folder.name / "data"
    assert is_current(CONFIG, source, out, recorded=events)
    assert not is_current(CONFIG, source, out)
    recorded(("u", "d", DAY, "view"))
    assert not is_current(CONFIG, source, out, recorded=events)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"order": [1, 2], "timestamp": None}, "must have times where recorded events are added"),
        ({"split": ["train", "test"], "timestamp": [1, 2]}, "must not state their split"),
    ],
)
def test_interactions_that_events_cannot_join_are_refused(
    make_folder, recorded, tmp_path, columns, message
):
    folder = make_folder(events={"user_id": ["u", "u"], "item_id": ["a", "b"]} | columns)

    with pytest.raises(InputError, match=message):
        histories(folder, tmp_path / "data", recorded(("u", "c", DAY, "view")))


def test_a_shop_without_interactions_learns_from_what_is_recorded(make_folder, recorded, tmp_path):
    folder = make_folder(events={"user_id": ["u"], "item_id": ["a"], "timestamp": [1]})
    (folder / "interactions.parquet").unlink()

    found = histories(folder, tmp_path / "data", recorded(("v", "b", DAY, "purchase")))

    assert found == {"v": ["b"]}

import pytest

from dataset.config import NOTES, DataConfig
from dataset.prepare.build import build
from dataset.prepare.check import check_source
from dataset.prepare.option_notes import notes_on_options
from dataset.prepare.sources import OF_FILES, open_source, shop_folder
from lineage.manifest import read_manifest

CUTS = ("2023-11-01", "2023-11-10")
UNTIMED = {"timestamp": None, "order": list(range(7))}
ACTIONS = {"action": ["view"] * 5 + ["purchase"] * 2}


@pytest.mark.parametrize(
    ("events", "options", "note"),
    [
        (
            {"split": ["train"] * 7},
            {"cuts": CUTS},
            "the column `split` decides, and the option cuts does not count",
        ),
        (
            {},
            {"cuts": CUTS, "split": "leave-one-out"},
            "split: leave-one-out decides, and the option cuts does not count",
        ),
        (
            UNTIMED,
            {"cuts": CUTS, "basket_minutes": 5, "daily_cap": None},
            "there are no times, and these options do nothing: cuts, basket_minutes, "
            "burst_seconds, account_cap",
        ),
        (
            ACTIONS,
            {"actions": {"View": 2, "gfit": 8}},
            "actions in data.yaml names actions that the data lack: gfit; they have: "
            "purchase, view",
        ),
        (
            ACTIONS,
            {"exclude": ("purchase", "buy")},
            "exclude in data.yaml names actions that the data lack: buy; they have: purchase, view",
        ),
        (
            {"action": ["purchase"] * 2 + ["view"] * 4 + ["refund"]},
            {"exclude": ("purchase", "buy")},
            "exclude in data.yaml names actions that the data lack: buy; they have: purchase, view",
        ),
        (
            {},
            {"fields": ("title", "maker", "brand")},
            "fields in data.yaml names columns that the items lack: maker",
        ),
    ],
)
def test_options_that_change_nothing_are_said(make_folder, tmp_path, events, options, note):
    folder, config = make_folder(events=events), DataConfig(**options)

    build(config, shop_folder(folder), tmp_path / "data")

    assert note in read_manifest(tmp_path / "data", "data").facts[NOTES]
    assert note in check_source(str(folder), tmp_path, config).warnings


def test_the_default_options_are_not_spoken_of(make_folder, tmp_path):
    build(DataConfig(), shop_folder(make_folder(events=ACTIONS)), tmp_path / "data")

    notes = read_manifest(tmp_path / "data", "data").facts[NOTES]
    assert not [note for note in notes if "data.yaml names" in note or "options" in note]


def test_options_that_a_source_overrides_are_said(make_folder):
    source = open_source(str(make_folder()))
    fixed = type(source)(
        items=source.items, interactions=source.interactions, root=source.root, overrides=OF_FILES
    )
    events = source.interactions.frame.collect().clear()

    def notes(**options):
        return notes_on_options(fixed, ["title"], events, None, DataConfig(**options))

    assert notes() == []
    (note,) = notes(earliest="1999-01-01", columns={"sku": "item_id"})
    assert note.endswith("states these itself, and the options do not count: columns, earliest")

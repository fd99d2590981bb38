import json

import polars as pl
import pytest

from dataset.arrays import ABOUT, load_dataset
from dataset.config import NOTES, DataConfig
from dataset.prepare.build import build
from dataset.prepare.sources import shop_folder
from dataset.prepare.validation import InputError
from lineage.manifest import read_manifest
from tests.dataset.conftest import START

ROWS = [("u", "a", "view"), ("u", "b", "Purchase"), ("v", "a", "Purchase"), ("v", "b", "view")]


@pytest.fixture
def built(make_folder, tmp_path):
    """Builds the data stage from `ROWS`, all of training, a second each."""

    def built(*, timed=True, **options):
        events = pl.DataFrame(ROWS, schema=["user_id", "item_id", "action"], orient="row")
        events = events.with_columns(split=pl.lit("train"))
        times = [START + second for second in range(len(ROWS))]
        events = events.with_columns(pl.Series("timestamp" if timed else "order", times))
        build(DataConfig(**options), shop_folder(make_folder(events=events)), tmp_path / "data")
        return tmp_path / "data"

    return built


def test_the_options_are_stored_with_the_data(built):
    folder = built(exclude=("PURCHASE",), repeats=30)

    about = json.loads((folder / ABOUT).read_text())
    assert (about["exclude"], about["repeats"]) == (["purchase"], 30)
    data = load_dataset(folder)
    assert data.may_repeat.after_days == 30
    assert data.action_excludes.tolist() == [False, True, False]


def test_by_default_purchases_exclude_and_views_do_not(built):
    data = load_dataset(built())

    assert data.may_repeat.after_days is None
    assert data.action_excludes.tolist() == [False, True, False]


@pytest.mark.parametrize("name", ["purchased", "gift", "refund", "impression"])
def test_actions_that_cannot_exclude_are_refused_by_name(built, name):
    said = rf"exclude must name actions.*'{name}'.*'purchase', 'view'"
    with pytest.raises(InputError, match=said):
        built(exclude=(name,))


def test_refunds_are_not_offered_to_exclude_by_and_what_has_no_weight_is_said(make_folder):
    actions = ["sale", "sale", "refund", "swap", "sale", "scan", "sale"]
    source = shop_folder(make_folder(events={"action": actions}))
    weighed = DataConfig(exclude=("buy",), actions={"swap": -8})

    said = (
        r"\['sale', 'scan', 'swap'\]; of these, scan, swap count 1 .*"
        r"actions: \{scan: WEIGHT, swap: WEIGHT\}"
    )
    with pytest.raises(InputError, match=said):
        build(DataConfig(exclude=("buy",)), source, source.root / "out")
    with pytest.raises(InputError, match=r"it has \['sale', 'scan'\]; of these, scan count"):
        build(weighed, source, source.root / "out")


def test_a_common_action_may_be_excluded_by_beside_one_of_the_data(built):
    folder = built(exclude=("purchase", "buy"))

    assert load_dataset(folder).exclude == ["purchase", "buy"]


def test_the_report_says_which_items_come_back(built):
    def notes(**options):
        return [
            note
            for note in read_manifest(built(**options), "data").facts[NOTES]
            if "(exclude)" in note or "(repeats)" in note
        ]

    views = (
        "items of the history come back after: view; they are left out after: purchase (exclude)"
    )
    assert notes() == [views]
    days = "items left out after an action may come back 30 days after the last of it (repeats)"
    assert notes(repeats=30) == [views, days]
    assert notes(actions={"view": 8}) == []


def test_days_need_times(built):
    with pytest.raises(InputError, match=r"repeats must be exclude or allow where .* no times"):
        built(timed=False, repeats=30)
    assert load_dataset(built(timed=False, repeats="allow")).may_repeat.after_days == 0

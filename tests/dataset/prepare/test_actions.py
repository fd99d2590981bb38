import json

import numpy as np
import polars as pl
import pytest

from dataset.__main__ import main
from dataset.arrays import ABOUT, TEST, load_dataset
from dataset.config import NOTES, DataConfig
from dataset.prepare.build import build, is_current
from dataset.prepare.check import check_source
from dataset.prepare.sources import shop_folder
from dataset.prepare.validation import InputError
from lineage.manifest import read_manifest
from tests.dataset.conftest import START


@pytest.fixture
def shop_of(make_folder):
    """Folder of a dataset from rows of user, item, action and split, a second each."""

    def shop_of(rows):
        columns = ["user_id", "item_id", "action", "split"]
        events = pl.DataFrame(rows, schema=columns, orient="row")
        times = pl.Series("timestamp", [START + second for second in range(len(rows))])
        return make_folder(events=events.with_columns(times))

    return shop_of


@pytest.fixture
def built(shop_of, tmp_path):
    """Builds the data stage from such rows, by default of training."""

    def built(rows, **options):
        split = [(*row, "train")[:4] for row in rows]
        build(DataConfig(**options), shop_folder(shop_of(split)), tmp_path / "data")
        return load_dataset(tmp_path / "data")

    return built


def counts(data):
    return dict(zip(data.item_ids, data.popularity.tolist(), strict=True))


def test_a_bot_and_a_recalled_product_do_not_lead(built):
    honest = [(f"u{user}", item, "purchase") for user in range(9) for item in "ab"]
    bot = [("bot", "c", "view")] * 500
    recalled = [(f"u{user}", "a", "Refund") for user in range(9)]
    strangers = [(f"r{user}", "d", "refund") for user in range(20)]

    data = built(honest + bot + recalled + strangers)

    assert counts(data) == {"a": 0, "b": 9, "c": 0.125, "d": 0}


def test_spellings_of_an_action_are_one(built):
    rows = [("u", "a", "Add to cart"), ("v", "a", "ADD_TO_CART"), ("w", "b", "add-to-cart ")]

    assert built(rows).action_names == ["add_to_cart"]


def test_weights_are_stored_beside_the_names(built, tmp_path):
    given = {"Gift": 4, "hide": -float("inf")}
    built([("u", "a", "view"), ("u", "b", "gift")], actions=given)

    source = shop_folder(tmp_path / "shop")
    assert is_current(DataConfig(actions=given), source, tmp_path / "data")
    about = json.loads((tmp_path / "data" / ABOUT).read_text())

    assert about["action_weights"]["gift"] == 1
    assert about["action_weights"]["view"] == 0.25
    assert about["action_weights"]["hide"] == -float("inf")


def test_a_name_without_a_weight_is_noted_once_with_the_option(built, tmp_path):
    built([("u", "a", "view"), ("u", "b", "scan"), ("v", "b", "scan")])

    notes = read_manifest(tmp_path / "data", "data").facts[NOTES]

    assert [
        note for note in notes if "scan" in note and "actions: {scan: WEIGHT}" in note
    ] == notes[1:]
    assert notes[0] == "actions count by weight: scan 1, view 1"


def test_an_action_that_can_take_nothing_away_is_noted_with_the_option(built, tmp_path, shop_of):
    rows = [("u", "a", "purchase"), ("u", "b", "purchase"), ("u", "a", "remove_from_cart")]
    built(rows)

    (note,) = read_manifest(tmp_path / "data", "data").facts[NOTES][1:]
    folder = shop_of([(*row, "train") for row in rows])
    warnings = check_source(str(folder), tmp_path, DataConfig()).warnings

    assert "take nothing away" in note
    assert "actions: {remove_from_cart: -8}" in note
    assert note in warnings


def test_the_offered_line_is_refused_until_its_weights_are_filled_in(shop_of, tmp_path, capsys):
    folder = shop_of([("u", "a", "view", "train"), ("u", "b", "scan", "train")])
    offered = check_source(str(folder), tmp_path, DataConfig(actions={"gift": 8})).warnings
    (line,) = (note.split("`")[1] for note in offered if "WEIGHT" in note)
    assert line == "actions: {gift: 8, scan: WEIGHT}"
    config = tmp_path / "data.yaml"
    config.write_text(line)

    with pytest.raises(SystemExit):
        main(["check", str(folder), f"--config={config}"])
    refused = capsys.readouterr().err
    config.write_text(line.replace("WEIGHT", "-8"))
    main(["check", str(folder), f"--config={config}"])

    assert "the values of actions must be a number" in refused


def test_refunds_alone_are_not_offered_a_positive_weight(built):
    with pytest.raises(InputError, match=r"if one of these is no refund.*\{refund: WEIGHT\}"):
        built([("u", "a", "refund")])


def test_a_german_refund_takes_back_a_german_purchase(built):
    data = built([("u", "a", "Verkauf"), ("v", "a", "Verkauf"), ("u", "a", "Rückgabe")])

    assert counts(data)["a"] == 1


def test_a_log_of_one_action_has_no_note(built, tmp_path):
    built([("u", "a", "scan"), ("u", "b", "scan")])

    assert read_manifest(tmp_path / "data", "data").facts[NOTES] == []


def test_a_refund_at_the_same_time_follows_the_purchase(make_folder, tmp_path):
    columns = {"user_id": ["u"] * 4, "item_id": ["a", "a", "b", "c"]}
    actions, times = ["view", "hide", "view", "view"], [START, START, START + 1, START + 2]
    folder = make_folder(
        events=pl.DataFrame({**columns, "action": actions, "timestamp": times, "split": "train"})
    )
    build(DataConfig(), shop_folder(folder), tmp_path / "data")

    assert counts(load_dataset(tmp_path / "data"))["a"] == 0


def test_a_test_of_a_refund_alone_is_none(make_folder, tmp_path):
    rows = [("a", "purchase"), ("b", "purchase"), ("c", "purchase"), ("d", "refund")]
    items, actions = zip(*rows, strict=True)
    times = [START + second for second in range(4)]
    events = pl.DataFrame({"user_id": "u", "item_id": items, "action": actions, "timestamp": times})
    folder = make_folder(events=events)
    build(DataConfig(split="leave-one-out"), shop_folder(folder), tmp_path / "data")
    data = load_dataset(tmp_path / "data")

    (targets,) = data.cases("test").targets

    assert data.item_ids[int(targets[0])] == "c"


def test_an_action_that_only_the_test_takes_away_with_is_known(built):
    data = built([("u", "a", "view"), ("u", "b", "view"), ("u", "a", "hide", "test")])

    assert data.action_names == ["hide", "view"]


def test_an_action_that_is_first_used_after_training_has_its_number_and_weight(built, tmp_path):
    views = [(user, item, "view") for user in "uvw" for item in "abc"]
    data = built([*views, ("u", "a", "cart"), ("u", "d", "purchase", "test")])
    (bought,) = np.flatnonzero(data.splits == TEST)

    assert data.action_names[data.actions[bought] - 1] == "purchase"
    assert data.weights[bought] == 1
    assert data.action_excludes[data.actions].sum() == 1
    assert len(data.demand().keys) == 1
    assert counts(data)["b"] == 3 / 8
    (note,) = [n for n in read_manifest(tmp_path / "data", "data").facts[NOTES] if "weight" in n]
    assert note == "actions count by weight: purchase 1, cart 0.375, view 0.125"
    report = check_source(str(tmp_path / "shop"), tmp_path, DataConfig())
    assert report.action_weights == {
        "purchase": "weight 1",
        "cart": "weight 0.375",
        "view": "weight 0.125",
    }


def test_actions_of_baskets_without_a_user_count_by_the_same_weights(make_folder, tmp_path):
    rows = [("u", "a", "view", "1"), ("u", "b", "view", "2"), (None, "c", "purchase", "3")]
    users, items, actions, baskets = zip(*rows, strict=True)
    times = [START + second for second in range(3)]
    events = pl.DataFrame(
        {
            "user_id": users,
            "item_id": items,
            "timestamp": times,
            "split": "train",
            "action": actions,
            "basket": baskets,
        }
    )
    build(DataConfig(), shop_folder(make_folder(events=events)), tmp_path / "data")

    assert counts(load_dataset(tmp_path / "data")) == {"a": 0.125, "b": 0.125, "c": 1, "d": 0}


def test_a_log_without_a_positive_action_is_refused_with_the_remedy(shop_of, tmp_path):
    folder = shop_of([("u", "a", "refund", "train"), ("u", "b", "hide", "train")])

    with pytest.raises(InputError, match=r"must have an action of positive weight.*actions: \{"):
        build(DataConfig(), shop_folder(folder), tmp_path / "data")


@pytest.mark.parametrize(
    ("actions", "rule"),
    [
        ({"view": 1.0, "View ": 2.0}, "actions must have distinct names"),
        ({"view": float("nan")}, "actions must have weights below .inf, got view: nan"),
    ],
)
def test_weights_that_break_a_rule_are_refused(actions, rule):
    with pytest.raises(ValueError, match=rule):
        DataConfig(actions=actions)


def test_check_lists_actions_with_their_weights(shop_of, tmp_path):
    rows = [("u", "a", "view"), ("u", "b", "Purchase"), ("u", "b", "hide"), ("v", "a", "scan")]
    folder = shop_of([(*row, "train") for row in rows])

    report = check_source(str(folder), tmp_path, DataConfig())

    assert report.action_weights == {
        "hide": "takes away all",
        "purchase": "weight 1",
        "scan": "weight 0.125",
        "view": "weight 0.125",
    }
    assert any("actions: {scan: WEIGHT}" in warning for warning in report.warnings)


def test_weights_are_options_of_the_command_and_shown_on_the_page(shop_of, capsys):
    rows = [("u", "a", "view"), ("u", "b", "gift"), ("u", "b", "mute"), ("u", "b", "refund")]
    folder = shop_of([(*row, "train") for row in rows])

    main(["check", str(folder), "--actions", "{gift: 4, mute: -.inf, refund: -4}"])

    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert (
        "gift 1 (weight 1), mute 1 (takes away all), refund 1 (takes away up to weight 1), "
        "view 1 (weight 0.25)"
    ) in shown

import json

import polars as pl
import pytest

from dataset.__main__ import main
from dataset.config import DataConfig
from dataset.prepare.build import build
from dataset.prepare.check import check_source
from dataset.prepare.sources import open_source
from dataset.prepare.validation import InputError


@pytest.fixture
def check(tmp_path, capsys):
    """Runs `check` and returns status, page and the report as JSON."""

    def run(folder, *options):
        before = sorted(folder.parent.rglob("*"))
        status = 0
        try:
            main(["check", str(folder), "--json", str(tmp_path / "report.json"), *options])
        except SystemExit as stop:
            status = stop.code
        report = tmp_path / "report.json"
        found = json.loads(report.read_text())
        report.unlink()
        assert sorted(folder.parent.rglob("*")) == before
        return status, " ".join(capsys.readouterr().out.split()), found

    return run


def test_a_good_source_is_described_and_nothing_is_written(check, make_folder):
    events = {
        "item_id": ["a", "b", "c", "b", "a", "b", "gone"],
        "action": ["view"] * 5 + ["buy", None],
    }
    folder = make_folder({"brand": ["Acme"] * 4, "vector": [[0.5]] * 4}, events)

    status, page, report = check(folder)

    assert status == 0
    assert (report["users"], report["items"], report["interactions"]) == (2, 4, 6)
    assert report["times"] == ["2023-11-14 22:13:21", "2023-11-14 22:13:50"]
    assert report["actions"] == {"view": 5, "buy": 1}
    assert report["unknown_items"] == pytest.approx(1 / 7)
    uses = {column["name"]: column["use"] for column in report["tables"]["items"]["columns"]}
    assert uses["brand"] == "text 2, filter (keyword)"
    assert uses["price"] == "filter (number)"
    assert uses["vector"].startswith("not used: ")
    dropped = {step["rule"]: step["rows_in"] - step["rows_out"] for step in report["dropped"]}
    assert dropped["unknown item"] == 1
    assert any("1 of 7 interactions name items" in line for line in report["warnings"])
    assert "No rule is broken." in page


def test_actions_and_times_are_those_of_the_rows_that_cleaning_leaves(check, make_folder):
    rows = [
        ("u", "a", 1, "view", "1"),
        ("u", "a", 1, "view", "1"),
        ("u", "b", 2, "buy", "1"),
        ("v", "gone", 9, "wave", "2"),
        (None, "a", 3, "buy", "3"),
        (None, "b", 3, "refund", "3"),
        *(("bot", "a", 100 + second, "view", None) for second in range(8)),
    ]
    events = pl.DataFrame(
        rows, schema=["user_id", "item_id", "timestamp", "action", "basket"], orient="row"
    ).with_columns(pl.col("timestamp") + 1_700_000_000)

    _, page, report = check(make_folder(events=events), "--burst_seconds", "10")

    assert report["actions"] == {"view": 2, "buy": 1}
    assert sum(report["actions"].values()) == report["interactions"] == 3
    assert report["without_user"] == {"buy": 1, "refund": 1}
    assert set(report["action_weights"]) == {"view", "buy", "refund"}
    assert report["times"] == ["2023-11-14 22:13:21", "2023-11-14 22:15:00"]
    assert "without a user" in page
    assert "wave" not in page


def test_the_page_names_the_users_whom_a_cap_cost_most(check, make_folder):
    events = {"user_id": ["u"] * 7, "item_id": ["a"] * 7}

    _, page, report = check(make_folder(events=events), "--burst_seconds", "10")

    (step,) = [step for step in report["dropped"] if step["lost"]["users"]]
    assert step["lost"] == {"users": 1, "most": {"u": 6}}
    assert "users who lost most" in page
    assert "u 6" in page
    assert "users who lost most" not in check(make_folder(events=events), "--burst_seconds=null")[1]


def test_all_broken_rules_are_listed_with_rows_and_status_1(check, make_folder):
    folder = make_folder({"item_id": ["a", "a", "b", "c"]}, {"user_id": [""] * 7})

    status, page, report = check(folder)

    assert status == 1
    assert len(report["broken"]) == 2
    assert "'item_id' must be unique" in page
    assert "'user_id' must not be null or empty" in page
    assert "| 1 | a" in page


def test_a_rule_that_drops_all_rows_is_a_broken_one(check, make_folder):
    status, page, _ = check(make_folder({"item_id": ["0a", "0b", "0c", "0d"]}))

    assert status == 1
    assert "'a' / '0a'" in page


def test_a_missing_table_is_a_broken_rule(check, make_folder):
    folder = make_folder()
    (folder / "items.parquet").unlink()

    status, page, report = check(folder)

    assert (status, len(report["broken"])) == (1, 1)
    assert "items must exist" in page


def test_the_options_of_the_data_stage_are_taken_from_its_configuration(
    check, make_folder, tmp_path
):
    folder = make_folder({"item_id": ["a", "a", "b", "c"]})
    config = tmp_path / "data.yaml"
    config.write_text("duplicates: last\ncolumns: {title: title}\n")
    assert check(folder, "--config", str(config))[0] == 1  # maps nothing

    config.write_text("duplicates: last\n")

    status, page, _ = check(folder, "--config", str(config))
    assert status == 0
    assert "duplicate item id, last row kept" in page


def test_the_page_is_written_as_html(make_folder, tmp_path, capsys):
    main(["check", str(make_folder()), "--html", str(tmp_path / "page.html")])

    html = (tmp_path / "page.html").read_text()
    assert html.lstrip().lower().startswith("<!doctype html>")
    assert "item_id" in html


def test_the_column_that_says_when_items_were_added_is_shown(check, make_folder):
    folder = make_folder({"created": [1_700_000_000, 1_700_000_100, None, 1_700_000_200]})

    _, _, report = check(folder)

    uses = {column["name"]: column["use"] for column in report["tables"]["items"]["columns"]}
    assert uses["created"] == "when added, filter (number)"


BUY = {"action": ["view"] * 5 + ["buy"] * 2}


@pytest.mark.parametrize(
    ("events", "options", "broken"),
    [
        ({"timestamp": None, "order": list(range(7))}, {"repeats": 30}, ["repeats must be"]),
        (BUY, {"exclude": ("bvy",)}, ["exclude must name"]),
        (BUY, {"exclude": ("purchase",)}, ["exclude must name"]),
        ({}, {"exclude": ("purchase",)}, ["exclude must name"]),
        ({"action": ["refund"] * 7}, {}, ["have an action of positive weight"]),
        ({}, {"split": "time-cut", "cuts": ("2020-01-01", "2020-02-01")}, ["cuts must leave"]),
        ({"split": ["test"] * 7}, {}, ["'split' must leave training rows"]),
        (
            {"timestamp": None, "order": list(range(7)), **BUY},
            {"repeats": 30, "split": "time-cut", "exclude": ("bvy",)},
            ["split must be auto", "repeats must be", "exclude must name"],
        ),
        (
            {"timestamp": None, "order": list(range(7)), "user_id": [""] * 7, **BUY},
            {"repeats": 30, "exclude": ("bvy",)},
            ["'user_id' must not be null", "repeats must be", "exclude must name"],
        ),
        (
            {},
            {"columns": {"sku": "item_id"}, "ignore": ("size",), "drop": {"samples": "sizes > 3"}},
            ["drop.samples must", "columns must map", "ignore must name"],
        ),
        ({}, {"drop": {"x": "1 +"}, "compute": {"y": "2 +"}}, ["drop.x in", "compute.y in"]),
    ],
)
def test_what_build_refuses_is_a_broken_rule(make_folder, tmp_path, events, options, broken):
    folder, config = make_folder(events=events), DataConfig(**options)

    report = check_source(str(folder), tmp_path, config)

    assert len(report.broken) == len(broken)
    assert all(said in line for said, line in zip(broken, report.broken, strict=True))
    with pytest.raises(InputError):
        build(config, open_source(str(folder), tmp_path, config), tmp_path / "out")


def test_fields_of_an_item_that_are_too_large_are_a_broken_rule(make_folder, tmp_path):
    columns = {f"notes_{n}": ["long " * 12_000] * 4 for n in range(30)}

    report = check_source(str(make_folder(columns)), tmp_path, DataConfig())

    assert len(report.broken) == 1
    assert "fields of item" in report.broken[0]

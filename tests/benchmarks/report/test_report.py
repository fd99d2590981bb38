import json
import re

import numpy as np
import pytest

from benchmarks.report.report import Report, duration, make_example, render, write_report
from evaluation.summary import METRICS, compare, summarise

TITLES = ["red <script>alert(1)</script> mug", "A & B", *(f"thing {n}" for n in range(2, 60))]


@pytest.fixture(scope="module")
def report() -> Report:
    rng = np.random.default_rng(0)
    lists = {
        name: np.stack([rng.permutation(60)[:30] for _ in range(40)]).astype(np.int32)
        for name in ("popularity", "item-knn", "towers", "cascade")
    }
    targets = [rng.permutation(60)[:2] for _ in range(40)]
    systems = {name: summarise(rows, targets, 60) for name, rows in lists.items()}
    examples = [
        make_example(
            f"user {user}",
            TITLES,
            history=np.array([1, 0]),
            targets=np.array([2, 50]),
            shortlist=(np.array([4, 3, 2, -1]), [0.9, 0.8, 0.7, 0.0]),
            final=(np.array([2, 0, 4]), [3.5, 2.0, 1.0]),
        )
        for user in range(20)
    ]
    return Report(
        dataset="tiny & small",
        users=40,
        cases=40,
        notes=["split by time-cut"],
        history="excluded",
        systems=systems,
        seconds={"data": 1.5, "towers": 63.0},
        machine="2 cores",
        command="make bench",
        decomposition={"exact search": systems["towers"]["recall@100"]},
        paired={"cascade − towers": compare(lists["cascade"], lists["towers"], targets)},
        slices={"rare": {name: metrics["recall@100"] for name, metrics in systems.items()}},
        examples=examples,
    )


def test_report_json_holds_the_figures_of_every_system(report, tmp_path):
    write_report(tmp_path / "deep" / "folder", report)

    content = json.loads((tmp_path / "deep" / "folder" / "report.json").read_text())
    assert content.keys() >= {"dataset", "users", "history", "systems", "seconds"}
    assert (content["users"], content["history"]) == (40, "excluded")
    assert content["notes"] == ["split by time-cut"]
    assert list(content["systems"]) == ["popularity", "item-knn", "towers", "cascade"]
    for metrics in content["systems"].values():
        assert tuple(metrics) == METRICS
        assert all(metric.keys() == {"value", "low", "high"} for metric in metrics.values())
    assert content["seconds"] == {"data": 1.5, "towers": 63.0}
    assert "recall@10" in content["paired"]["cascade − towers"]
    assert list(content["slices"]["rare"]) == list(content["systems"])
    assert "examples" not in content


def test_writing_replaces_old_files_and_leaves_no_others(report, tmp_path):
    (tmp_path / "report.json").write_text("old")
    write_report(tmp_path, report)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]
    assert json.loads((tmp_path / "report.json").read_text())["dataset"] == "tiny & small"


def test_a_figure_of_nan_is_refused_and_leaves_the_old_report(report, tmp_path):
    write_report(tmp_path, report)
    before = (tmp_path / "report.html").read_text()
    broken = Report(
        dataset="broken",
        users=1,
        cases=1,
        history="excluded",
        systems=report.systems,
        seconds={"x": np.nan},
    )
    with pytest.raises(ValueError, match=r"nan|JSON"):
        write_report(tmp_path, broken)

    assert (tmp_path / "report.html").read_text() == before


def test_the_page_is_self_contained(report):
    page = render(report)

    forbidden = r"https?:|src\s*=|href\s*=|url\(|@import|<link|<script|<iframe|<img"
    assert not re.search(forbidden, page, re.IGNORECASE)
    assert page.lstrip().startswith("<!doctype html>")


def test_titles_are_escaped(report):
    page = render(report)

    assert "red &lt;script&gt;alert(1)&lt;/script&gt; mug" in page
    assert "A &amp; B" in page
    assert "tiny &amp; small" in page


def test_the_page_shows_every_figure_and_user(report):
    page = render(report)

    for metrics in report.systems.values():
        assert all(f"{metric['value']:.4f}" in page for metric in metrics.values())
    assert all(f"user {number}<" in page for number in range(20))
    assert page.count("<svg") == 3 * 4 + 1 + 2  # plots, decomposition, seconds
    assert "cascade − towers" in page


def test_the_page_renders_without_optional_parts(report):
    bare = Report(
        dataset="bare", users=40, cases=40, history="included", systems=report.systems, seconds={}
    )
    page = render(bare)

    assert "</html>" in page
    assert "step by step" not in page


def test_an_example_holds_the_ranks_of_each_target(report):
    example = report.examples[0]

    assert list(example.history) == [TITLES[0], TITLES[1]]  # newest first
    assert [(t.shortlist_rank, t.final_rank) for t in example.targets] == [(3, 1), (None, None)]
    assert [item.title for item in example.shortlist] == ["thing 4", "thing 3", "thing 2"]
    assert [item.is_target for item in example.final] == [True, False, False]
    assert example.hit


def test_the_best_of_a_column_is_bold_and_the_best_peer_is_found():
    figure = {"low": 0.0, "high": 1.0}
    report = Report(
        dataset="d",
        users=1,
        cases=1,
        history="excluded",
        systems={
            "item-knn": {"mrr": {"value": 0.2, **figure}, "coverage@10": {"value": 0.9, **figure}},
            "cascade": {"mrr": {"value": 0.4, **figure}, "coverage@10": {"value": 0.1, **figure}},
        },
        seconds={},
    )
    assert report.best("mrr") == "cascade"
    assert report.best("mrr", peers=True) == "item-knn"
    assert report.best("coverage@10") is None
    assert re.search(r'class="best"><span class="value">0.4000', render(report))
    assert not re.search(r'class="best"><span class="value">0.2000', render(report))


def test_a_report_without_figures_shows_its_notes_and_no_table():
    report = Report(
        dataset="d", users=0, cases=0, history="excluded", systems={}, seconds={}, notes=["none"]
    )

    page = render(report)

    assert "None." in page
    assert "<table>" not in page


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.96, "10.0 s"),
        (59.7, "1 min 00 s"),
        (75, "1 min 15 s"),
        (3725, "1 h 02 min"),
    ],
)
def test_durations_are_written_in_suitable_units(seconds, text):
    assert duration(seconds) == text

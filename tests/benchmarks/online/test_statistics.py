import json
import sys
from dataclasses import replace

import pytest

from benchmarks.online.statistics import StatisticsConfig, main, measure, tables

SMALL = StatisticsConfig(
    seeds=30,
    power_seeds=10,
    logs=1,
    users=600,
    days=14,
    looks=10,
    answers=4000,
    share=0.2,
    shoppers=400,
)


@pytest.fixture(scope="module")
def small():
    """Figures of small simulations."""
    return measure(SMALL)


def test_intervals_cover_the_true_difference_in_most_small_tests(small):
    for row in small["A/B"]["figures"].values():
        assert row["covered of the first 100"] >= 25  # of 30: 1 in 300 by chance
    assert small["A/B"]["sample ratio alarms"]["value"] == 0


def test_cuped_narrows_the_interval(small):
    widths = {name: row["mean width"] for name, row in small["A/B"]["figures"].items()}

    assert widths["CTR, CUPED"] < 0.95 * widths["CTR"]


def test_daily_looks_alarm_rarely_with_always_valid_intervals_alone(small):
    alarms = small["daily looks"]["false alarms"]

    assert alarms["always valid"]["value"] <= 0.1
    assert alarms["fixed"]["value"] > alarms["always valid"]["value"]


def test_interleaving_needs_a_fraction_of_the_users(small):
    assert small["interleaving"]["ratio"] < 0.2
    assert small["interleaving"]["interleaving power"] >= 0.4  # of 10: 1 in 100 by chance


def test_an_unseen_ranking_is_told_from_another_ones_answers(small):
    estimates = small["off-policy"]["estimates"]

    for name in ("snips", "doubly_robust"):
        assert abs(estimates[name]["bias"]) < 0.15
        assert estimates[name]["coverage"]["value"] == 1
    assert small["off-policy"]["price of exploration"] < 0


def test_the_command_writes_its_figures_and_prints_tables(small, tmp_path, monkeypatch, capsys):
    arguments = ["--reports", str(tmp_path), "--seeds", "3"]
    monkeypatch.setattr(sys, "argv", ["statistics", *arguments])
    monkeypatch.setattr(
        "benchmarks.online.statistics.measure",
        lambda config: {**small, "configuration": {"seeds": config.seeds}},
    )

    main()

    assert len(tables(small)) == 4
    assert "interleaving beside A/B" in capsys.readouterr().out
    written = json.loads((tmp_path / "statistics.json").read_text())
    assert written["configuration"] == {"seeds": 3}
    assert written["off-policy"] == small["off-policy"]


def test_a_size_of_nothing_is_refused():
    with pytest.raises(ValueError, match="logs must be at least 1, got 0"):
        replace(SMALL, logs=0)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_promises_hold_at_full_size():
    figures = measure(StatisticsConfig(seeds=400))

    for row in figures["A/B"]["figures"].values():
        assert row["covered of the first 100"] >= 93
        assert row["coverage"]["high"] >= 0.95
    assert figures["daily looks"]["false alarms"]["always valid"]["value"] <= 0.05
    assert figures["interleaving"]["ratio"] <= 0.2
    assert figures["interleaving"]["interleaving power"] >= 0.73
    for name in ("snips", "doubly_robust"):
        row = figures["off-policy"]["estimates"][name]
        assert row["95th percentile of the error"] <= 0.1
        assert row["coverage"]["value"] >= 0.9

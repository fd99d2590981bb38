"""Alarms when the share of a label leaves its band."""

import json
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.stats import betabinom, binom, t

from classifier.__main__ import main
from classifier.bands import BandConfig, judged, rejected
from classifier.baselines import BaselineConfig
from classifier.tails import two_sided, with_heavy_tails, with_light_tails
from classifier.trends import Counts, Trends
from classifier.watch_report import _top
from dataset.prepare.dated_table import read_dated
from dataset.prepare.labelled_table import labelled_files

RATE = 0.05


def simulated(seed, *, days=200, labels=8, texts=400, spread=0.0, weekend=0.0):
    """Counts of labels whose shares vary by chance, between days, and at weekends."""
    random = np.random.default_rng(seed)
    base = 0.1 / labels + 0.9 * random.dirichlet(np.full(labels, 2.0))
    all_texts = random.poisson(texts * (1 + 0.3 * np.sin(2 * np.pi * np.arange(days) / 7)))
    counts = np.zeros((days, labels), np.int64)
    for day, size in enumerate(all_texts.tolist()):
        shares = base.copy()
        shares[0] *= np.exp(weekend * (day % 7 in (5, 6)))
        shares /= shares.sum()
        drawn = random.dirichlet(shares * (1 / spread - 1)) if spread else shares
        counts[day] = random.multinomial(size, drawn)
    return np.repeat(all_texts[:, None], labels, axis=1), counts


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"spread": 0.003},
        {"spread": 0.02},
        {"spread": 0.003, "weekend": 0.7},
        {"texts": 30, "spread": 0.005},
        {"labels": 30, "spread": 0.003},
    ],
    ids=["chance", "spread", "wide", "weekends", "few texts", "many labels"],
)
def test_days_without_a_change_have_no_more_false_alarms_than_stated(options):
    found = [judged(*simulated(seed, **options), BandConfig(rate=RATE)) for seed in range(2)]

    false = np.concatenate(
        [one.alarms.any(axis=1)[np.isfinite(one.p).any(axis=1)] for one in found]
    )
    assert len(false) > 350
    assert false.mean() < RATE + 2 * np.sqrt(RATE * (1 - RATE) / len(false))


def test_a_doubled_share_is_found_on_the_same_day():
    found = []
    for seed in range(10):
        texts, counts = simulated(seed, days=61, texts=800, spread=0.001)
        label = int(np.argmin(np.abs(counts.mean(axis=0) / 800 - 0.1)))
        random = np.random.default_rng(seed)
        counts[60, label] = random.binomial(
            texts[60, 0], min(1, 2 * counts[:60, label].sum() / texts[:60, 0].sum())
        )
        found.append(bool(judged(texts, counts, BandConfig()).alarms[60, label]))

    assert sum(found) >= 9


def test_weekends_are_expected_once_they_are_known():
    texts, counts = simulated(1, spread=0.001, weekend=0.9)
    found = judged(texts, counts, BandConfig())
    weekend = np.isin(np.arange(200) % 7, (5, 6))

    late = slice(70, None)
    assert found.seasonal[late, 0].mean() > 0.95
    expected, observed = found.expected[late, 0], (counts / texts)[late, 0]
    for days in (weekend[late], ~weekend[late]):
        assert expected[days].mean() == pytest.approx(observed[days].mean(), rel=0.05)


def test_weekdays_that_do_not_differ_are_not_taken_into_account():
    found = judged(*simulated(1, spread=0.002), BandConfig())

    assert found.seasonal.mean() < 0.05


def test_a_share_that_stays_changed_becomes_the_usual_one():
    texts, counts = simulated(3, days=160)
    counts[80:, 0] = (1.8 * counts[80:, 0]).astype(np.int64)
    found = judged(texts, counts, BandConfig())

    assert found.alarms[80, 0]
    assert not found.alarms[130:, 0].any()
    assert np.isfinite(found.p[14:, 0]).all()


def test_the_first_days_and_days_without_texts_are_not_judged():
    texts, counts = simulated(0, days=40)
    texts[30] = counts[30] = 0
    found = judged(texts, counts, BandConfig(baseline=BaselineConfig(days=28, least=14)))

    judged_days = np.isfinite(found.p).any(axis=1)
    assert not judged_days[:14].any()
    assert judged_days[14]
    assert not judged_days[30]
    assert judged_days[31]


def test_a_share_outside_its_band_is_an_alarm():
    texts, counts = simulated(5, spread=0.01)
    counts[100:120:4, 2] //= 3
    found = judged(texts, counts, BandConfig())

    shares, known = counts / texts, np.isfinite(found.p)
    a_text = 1 / texts
    outside = known & ((shares < found.low - a_text) | (shares > found.high + a_text))
    assert outside.sum() >= 4
    assert found.alarms[outside].all()
    assert ((found.low < found.expected) & (found.expected < found.high))[known].all()


def test_tails_are_those_of_the_beta_binomial_distribution():
    counts, texts = np.array([3.0, 40, 12, 0, 400]), np.full(5, 400.0)
    shares, spreads = np.full(5, 0.05), np.array([0.01, 0.01, 0.0, 0.002, 0.01])

    p = two_sided(counts, texts, shares, spreads)

    def beta_binomial(place):
        return betabinom(400, *(np.array([0.05, 0.95]) * (1 / spreads[place] - 1)))

    expected = [
        2 * beta_binomial(0).cdf(3),
        2 * beta_binomial(1).sf(39),
        2 * binom(400, 0.05).cdf(12),
        2 * beta_binomial(3).cdf(0),
    ]
    np.testing.assert_allclose(p[:4], expected, rtol=1e-3)
    assert p[4] < 1e-30


def test_heavy_tails_are_those_of_the_t_distribution():
    p, freedom = np.array([0.05, 1e-6, 1.0]), np.array([27.0, 27.0, 5.0])

    heavy = with_heavy_tails(p, freedom)

    assert heavy[0] == pytest.approx(2 * t.sf(1.959964, 27), rel=1e-5)
    assert (heavy[:2] > p[:2]).all()
    np.testing.assert_allclose(with_light_tails(heavy, freedom), p, rtol=1e-6)


def test_p_values_are_significant_together_as_benjamini_and_hochberg_say():
    p = np.array([0.04, np.nan, 0.001, 0.03, 0.9])

    assert rejected(p, 0.05).tolist() == [False, False, True, False, False]
    assert rejected(p, 0.06).tolist() == [True, False, True, True, False]
    assert not rejected(np.array([np.nan]), 0.5).any()


def test_topics_are_counted_by_themselves_and_together():
    days = np.array([10, 10, 12, 12])
    counts = Counts.of(days, ["good", "bad", "good", "good"], ["app", "app", None, "shop"])

    assert counts.series == [
        ("bad", ""),
        ("good", ""),
        ("bad", "app"),
        ("good", "app"),
        ("good", "shop"),
    ]
    assert counts.labelled.tolist() == [[1, 1, 1, 1, 0], [0] * 5, [0, 2, 0, 0, 1]]
    assert counts.texts.tolist() == [[2, 2, 2, 2, 0], [0] * 5, [2, 2, 0, 0, 1]]
    assert counts.day(2) == "1970-01-13"


def test_an_alarm_says_what_was_expected():
    texts, counts = simulated(0, days=50)
    counts[45, 1] = 3 * counts[:45, 1].mean()
    series = [(f"label {place}", "") for place in range(8)]
    trends = Trends.of(Counts(first=0, series=series, texts=texts, labelled=counts), BandConfig())

    (alarm,) = [one for one in trends.alarms if one.label == "label 1"]
    assert alarm.day == (date(1970, 1, 1) + timedelta(days=45)).isoformat()
    assert alarm.share > alarm.high > alarm.expected > alarm.low
    assert alarm.p < 0.001


def test_rows_without_a_text_or_a_time_are_left_out(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("text,at,topic\ngood,2026-05-01T23:30:00Z,a\n,2026-05-01,a\nbad,,b\n")

    read = read_dated(labelled_files(table), ["text"], "at", "topic", 64)

    assert (list(read.texts), list(read.topics), read.left_out) == (["good"], ["a"], 2)
    assert read.days.tolist() == [(date(2026, 5, 1) - date(1970, 1, 1)).days]
    with pytest.raises(
        ValueError, match="time must be a column of the table, got 'att'; name 'at'"
    ):
        read_dated(labelled_files(table), ["text"], "att", "", 64)


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    """Titles of two colours by day; on the last day one of them is three times as frequent."""
    random, start, rows = np.random.default_rng(0), datetime(2026, 5, 1), []
    for day in range(40):
        share = 0.6 if day == 39 else 0.2
        for number in range(100):
            title = "red mug" if random.random() < share else "navy mug"
            at = start + timedelta(days=day, minutes=number)
            rows.append({"title": title, "at": at, "where": "app" if number % 2 else "shop"})
    path = tmp_path_factory.mktemp("messages") / "messages.parquet"
    pl.DataFrame(rows).write_parquet(path)
    return path


@pytest.mark.training
def test_the_command_finds_the_day_and_writes_page_and_file(
    shop_classifier, messages, tmp_path, capsys
):
    model = shop_classifier / "artifacts" / "classifier"
    page, alarms = tmp_path / "page.html", tmp_path / "alarms.json"
    arguments = ["--model", str(model), "--input", str(messages), "--time", "at"]
    arguments += ["--topic", "where", "--output", str(page), "--json", str(alarms)]

    main(["watch", *arguments])
    with pytest.raises(SystemExit) as ended:
        main(["watch", *arguments, "--fail_on", "last"])

    assert ended.value.code == 1
    written = json.loads(alarms.read_text())
    newest = [one for one in written["alarms"] if one["day"] == "2026-06-09"]
    assert {one["topic"] for one in newest} == {"", "app", "shop"}
    assert written["last_day"] == "2026-06-09"
    html = page.read_text()
    assert 'class="alarm"' in html
    assert 'class="band"' in html
    assert "2026-06-09" in capsys.readouterr().err


def test_a_picture_has_room_for_shares_and_usual_bands_but_not_for_the_widest():
    shares = np.array([0.01, 0.02, 0.2, 0.01])
    high = np.array([np.nan, 1.0, 0.05, 0.05])

    assert _top(shares, high) == pytest.approx(0.22)
    assert _top(np.zeros(4), np.full(4, np.nan)) == 1.0


@pytest.mark.training
def test_an_unknown_target_is_refused_by_name(shop_classifier, messages, capsys):
    model = shop_classifier / "artifacts" / "classifier"
    given = ["--model", str(model), "--input", str(messages), "--time", "at", "--target", "price"]
    with pytest.raises(SystemExit) as ended:
        main(["watch", *given])

    assert ended.value.code == 2
    assert "target must be a column of labels, one of" in capsys.readouterr().err

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from benchmarks.quality.profile_figures import FREQUENCY, Answers, ask, figures, most_frequent
from benchmarks.report.reliability import picture, write_picture
from dataset.arrays import StringColumn, load_dataset
from profiles.attribute_values import AttributeValues
from serving.api.limits import Limits
from serving.engine.engine import Engine, EngineConfig

BRAND = AttributeValues(
    name="brand",
    values=StringColumn.of(["a", "b", "c"]),
    offsets=np.arange(7),
    numbers=np.array([0, 0, 1, 1, 2, 2], np.int32),
)


def answers(cases):
    """Answers of cases, half of whose likeliest values come next, and a quarter of the frequent."""
    right = np.arange(cases) % 2.0
    return Answers(
        learnt=True,
        users=list(range(cases)),
        first=right.tolist(),
        frequent=(np.arange(cases) % 4 == 0).astype(float).tolist(),
        popular=[0.0] * cases,
        listed=[(0.5, value) for value in right.tolist()],
        likeliest=[(0.5, value) for value in right.tolist()],
    )


def test_the_baseline_is_the_most_frequent_value_and_of_equals_the_most_popular():
    popularity = np.array([0.2, 0.3, 0.5])

    assert most_frequent(BRAND, np.array([0, 1, 4]), popularity) == 0
    assert most_frequent(BRAND, np.array([0, 2]), popularity) == 1
    assert most_frequent(BRAND, np.array([], np.int32), popularity) == 2


def test_the_figures_compare_the_same_cases():
    made = figures(answers(400), seed=0)

    assert made["accuracy"]["profile"]["value"] == 0.5
    assert made["accuracy"][f"profile / {FREQUENCY}"]["value"] == pytest.approx(2)
    assert made["accuracy"][f"profile − {FREQUENCY}"]["low"] > 0
    assert made["calibration of the likeliest value"]["error"] == 0
    json.dumps(made)


def test_a_case_asks_the_engine_as_a_client_would(release):
    engine = Engine.load(release, EngineConfig(limits=Limits(shortlist=12)))
    data = load_dataset(release / "data").for_refit()
    cases = data.cases("test").sample_users(20, 0)

    found = ask(engine, data, cases)

    assert set(found) == {"colour", "thing", "price"}
    colour = found["colour"]
    assert len(colour.first) == len(cases)
    assert np.mean(colour.first) > 0.9  # every user buys things of one colour
    assert all(0 <= probability <= 1 for probability, _ in colour.listed)


def test_the_picture_has_a_square_for_each_attribute(tmp_path):
    made = figures(answers(40), seed=0)

    write_picture(tmp_path / "profiles.svg", {"brand": made, "a < b": made})

    drawn = ET.fromstring((tmp_path / "profiles.svg").read_text())
    circles = list(drawn.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(circles) == 2
    assert (circles[0].get("cx"), circles[0].get("cy")) == ("100.0%", "0.0%")
    assert "a &lt; b" in (tmp_path / "profiles.svg").read_text()


def test_a_square_ends_at_the_largest_probabilities():
    bins = [{"predicted": 0.05, "happened": 0.1, "count": 3}]

    drawn = ET.fromstring(picture("items", {"first": {"error": 0.05, "bins": bins}}))

    (circle,) = drawn.iter("{http://www.w3.org/2000/svg}circle")
    assert (circle.get("cx"), circle.get("cy")) == ("50.0%", "0.0%")
    assert [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")].count("0.1") == 2

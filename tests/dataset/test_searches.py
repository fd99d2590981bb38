import numpy as np
import pytest

from dataset.arrays import load_dataset
from dataset.config import DataConfig
from dataset.prepare.build import build
from dataset.prepare.sources import open_source
from dataset.searching_cases import searching_cases, some_words
from dataset.training_examples import training_examples

START = 1_700_000_000
EVENTS = {
    "user_id": ["u", "u", "u", "v", "v"],
    "item_id": ["a", "b", "c", "b", "d"],
    "search": ["kettle", None, " blue ", "", "lamp"],
    "timestamp": [START + second for second in (1, 200, 300, 1, 500)],
    "split": ["train", "train", "train", "train", "test"],
}


@pytest.fixture
def built(make_folder, tmp_path):
    def run(**events):
        folder = make_folder(events={**EVENTS, **events})
        build(DataConfig(), open_source(str(folder)), tmp_path / "data")
        return load_dataset(tmp_path / "data")

    return run


def ids(data, rows):
    return [data.item_ids[int(row)] for row in rows]


def test_a_search_gives_training_examples_with_and_without_a_history(built):
    data = built()

    examples = training_examples(data)

    searched = range(examples.without_search, len(examples))
    found = [
        (search, ids(data, examples.history(example)), ids(data, [examples.targets[example]]))
        for search, example in zip(examples.searches, searched, strict=True)
    ]
    assert found == [("kettle", [], ["a"]), ("blue", ["a", "b"], ["c"])]
    alone = [ids(data, [target]) for target in examples.targets[: examples.without_search]]
    assert alone == [["b"], ["c"]]


def test_a_case_has_its_search(built):
    cases = built().cases("test")

    assert (list(cases.searches), cases.search(0)) == (["lamp"], "lamp")


def test_targets_of_a_search_weigh_by_their_relevance(built):
    data = built(relevance=[1.0, 1.0, 3.0, 1.0, 2.0], timestamp=[START] * 5)

    weights = training_examples(data).weights

    assert weights is not None
    assert weights.max() / weights.min() == pytest.approx(3.0)
    assert [gains.tolist() for gains in data.cases("test").gains] == [[2.0]]


def test_searches_of_one_time_are_moments_of_their_own(built):
    data = built(timestamp=[START] * 5, search=["kettle", "kettle", "blue", "lamp", "lamp"])

    examples = training_examples(data)
    sizes = np.diff(examples.groups)

    assert sorted(zip(examples.searches, sizes.tolist(), strict=True)) == [
        ("blue", 1),
        ("kettle", 2),
        ("lamp", 1),
    ]


def test_without_a_log_words_of_titles_are_searched_for(shop):
    cases = searching_cases(shop, shop.cases("valid"))

    assert all(len(history) == 0 for history in cases.histories)
    for search, (target,) in zip(cases.searches, cases.targets, strict=True):
        assert search in shop.titles[int(target)]


def test_synthetic_words_are_consecutive():
    title = "a very long title of seven words"

    found = {some_words(title, np.random.default_rng(seed)) for seed in range(50)}

    assert found == {
        "a very long",
        "very long title",
        "long title of",
        "title of seven",
        "of seven words",
    }

import numpy as np
import polars as pl
import pytest

from dataset.arrays import TEST, TRAIN, VALID, load_dataset
from dataset.config import DataConfig
from dataset.prepare.build import build
from dataset.prepare.sources import open_source
from dataset.prepare.validation import InputError

ITEMS = {"item_id": ["a", "b", "c", "d"], "title": ["Red kettle", "Blue kettle", "Lamp", "Saw"]}
QUERIES = {
    "query_id": ["q1", "q2", "q3"],
    "query": [" kettle ", "lamp", "red kettle"],
    "split": ["train", "valid", "test"],
}
LABELS = {
    "query_id": ["q1", "q1", "q2", "q3", "q3", "q3"],
    "item_id": ["a", "b", "c", "a", "b", "d"],
    "relevance": [3.0, 2.0, 1.0, 3.0, 1.5, 0.0],
}


@pytest.fixture
def make_log(tmp_path):
    """Writes a folder of items, queries and labels; a column given as None is left out."""

    def make(queries=None, labels=None):
        folder = tmp_path / "log"
        folder.mkdir(exist_ok=True)
        for name, base, changes in (
            ("items", ITEMS, None),
            ("queries", QUERIES, queries),
            ("labels", LABELS, labels),
        ):
            columns = {k: v for k, v in {**base, **(changes or {})}.items() if v is not None}
            pl.DataFrame(columns).write_parquet(folder / f"{name}.parquet")
        return folder

    return make


@pytest.fixture
def built(make_log, tmp_path):
    def run(queries=None, labels=None, **options):
        folder = make_log(queries, labels)
        build(DataConfig(**options), open_source(str(folder)), tmp_path / "data")
        return load_dataset(tmp_path / "data")

    return run


def test_each_query_is_a_user_who_searched_once(built):
    data = built()

    cases = data.cases("test")
    assert list(cases.searches) == ["red kettle"]
    assert len(cases.histories[0]) == 0
    pairs = zip(*cases.targets, *cases.gains, strict=True)
    found = {data.item_ids[int(row)]: gain for row, gain in pairs}
    assert found == {"a": 3.0, "b": 1.5}  # relevance 0 is no target
    assert data.cases("valid").searches == ["lamp"]


def test_labels_without_relevance_weigh_the_same(built):
    data = built(labels={"relevance": None})

    assert [gains.tolist() for gains in data.cases("test").gains] == [[1.0, 1.0, 1.0]]


def test_queries_without_a_split_are_divided_by_their_words(built):
    words = [f"saw number {number}" for number in range(200)]
    queries = {"query_id": [f"q{n}" for n in range(400)], "query": [*words, *words], "split": None}
    labels = {"query_id": queries["query_id"], "item_id": ["a"] * 400, "relevance": None}

    data = built(queries, labels)

    splits = {}
    for row in range(data.users):
        search = data.searches.text(int(data.searches.of[data.offsets[row]]))
        splits.setdefault(search, set()).add(int(data.splits[data.offsets[row]]))
    assert all(len(of_words) == 1 for of_words in splits.values())
    shares = [(data.splits == code).mean() for code in (TRAIN, VALID, TEST)]
    np.testing.assert_allclose(shares, [0.7, 0.2, 0.1], atol=0.07)


def test_labels_of_unknown_queries_are_dropped_and_counted(built, tmp_path):
    built(labels={"query_id": ["q1", "q1", "q2", "q3", "q3", "q9"]})

    report = (tmp_path / "data" / "cleaning.json").read_text()
    assert '"unknown query"' in report


@pytest.mark.parametrize(
    ("queries", "labels", "says"),
    [
        ({"query_id": ["q1", "q1", "q3"]}, None, "'query_id' must be distinct, got 2 rows"),
        ({"query": None}, None, "queries.parquet: column 'query' must exist"),
        (None, {"item_id": None}, "labels.parquet: column 'item_id' must exist"),
        (None, {"relevance": [3.0, 2.0, 1.0, 3.0, -1.0, 0.0]}, "'relevance' must be finite and at"),
        (None, {"relevance": ["good"] * 6}, "'relevance' must be numbers"),
    ],
)
def test_a_broken_log_is_refused_by_file_and_column(built, queries, labels, says):
    with pytest.raises(InputError, match=says):
        built(queries, labels)


def test_a_folder_with_interactions_is_no_log_of_searches(built, make_log):
    folder = make_log()
    rows = {"user_id": ["u", "u"], "item_id": ["a", "b"], "order": [0, 1]}
    pl.DataFrame(rows).write_parquet(folder / "interactions.parquet")

    source = open_source(str(folder))

    assert source.interactions.path.name == "interactions.parquet"

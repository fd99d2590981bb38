import json

import numpy as np
import polars as pl
import pytest

from dataset.arrays import TRAIN, load_dataset
from dataset.config import DataConfig
from dataset.postings import load_postings
from dataset.prepare import build as build_module
from dataset.prepare import timestamps
from dataset.prepare.build import build, is_current
from dataset.prepare.sources import ml_100k, open_source
from dataset.prepare.timestamp_texts import read_dates
from dataset.user_columns import load_user_columns
from lineage.manifest import MissingArtifactError, read_manifest, verify_files

START = 1_700_000_000


@pytest.fixture
def built(make_folder, tmp_path):
    def run(items=None, events=None, **options):
        folder = make_folder(items, events)
        build(DataConfig(**options), open_source(str(folder)), tmp_path / "data")
        return load_dataset(tmp_path / "data")

    return run


def histories(data):
    return {
        user: [data.item_ids[item] for item in data.items[start:end]]
        for user, start, end in zip(data.user_ids, data.offsets, data.offsets[1:], strict=False)
    }


def test_histories_are_oldest_first(built):
    data = built(events={"timestamp": [START + n for n in (3, 2, 1, 20, 10, 30, 5)]})

    assert histories(data) == {"u": ["c", "b", "a"], "v": ["a", "b", "b"], "w": ["d"]}


def test_titles_stay_whole_and_texts_are_cut(built):
    data = built(token_budget=2)

    rows = {item: row for row, item in enumerate(data.item_ids)}
    assert data.titles[rows["c"]] == "Été: 日本 🎮"
    assert data.texts[rows["c"]] == "Été:"
    assert data.texts[rows["a"]] == "Red kettle"


def test_popularity_counts_only_the_training_split(built):
    data = built(events={"item_id": ["a", "b", "c", "b", "a", "c", "d"]})

    for row, item in enumerate(data.item_ids):
        trained = int(np.sum(data.items[data.splits == TRAIN] == row))
        assert data.popularity[row] == trained, item


def test_times_are_microseconds_or_else_the_stated_order(built):
    seconds = [START + n for n in (1, 2, 3, 5, 10, 20, 30)]
    assert sorted(built().times) == [second * 1_000_000 for second in seconds]
    ordered = built(events={"timestamp": None, "order": [0, 1, 2, 0, 1, 2, 7]})
    assert sorted(ordered.times) == [0, 0, 1, 1, 2, 2, 7]


def test_the_order_of_rows_in_the_source_changes_nothing(make_folder, tmp_path):
    rows = pl.DataFrame(
        {
            "user_id": [f"u{n % 9}" for n in range(80)],
            "item_id": [f"i{n * 7 % 31}" for n in range(80)],
            "timestamp": [START + n % 4 for n in range(80)],
        }
    )
    items = pl.DataFrame({"item_id": [f"i{n}" for n in range(31)], "title": ["t"] * 31})
    files = []
    for seed in range(2):
        shuffled = [table.sample(fraction=1, shuffle=True, seed=seed) for table in (items, rows)]
        source = open_source(str(make_folder(*shuffled, name=f"s{seed}")))
        build(DataConfig(), source, tmp_path / f"out{seed}")
        files.append(read_manifest(tmp_path / f"out{seed}", "data").files)

    assert files[0] == files[1]


def test_row_numbers_are_independent_of_positions_in_the_source(make_folder, tmp_path):
    items = pl.DataFrame({"item_id": [f"i{n:04}" for n in range(900)], "title": ["t"] * 900})
    events = pl.DataFrame({"user_id": "u", "item_id": items["item_id"], "order": range(900)})
    build(DataConfig(), open_source(str(make_folder(items, events))), tmp_path / "out")

    data = load_dataset(tmp_path / "out")

    assert abs(np.corrcoef(data.items, np.arange(900))[0, 1]) < 0.1


def test_whole_numbers_become_string_ids(built):
    data = built(
        {"item_id": [10, 20, 30, 40]},
        {"item_id": [10, 20, 30, 20, 10, 20, 40], "user_id": [1, 1, 1, 2, 2, 2, 3]},
    )

    assert histories(data) == {"1": ["10", "20", "30"], "2": ["20", "10", "20"], "3": ["40"]}


def test_typed_columns_are_stored_in_the_order_of_the_items(built, tmp_path):
    prose = ["Boils water, and " * 7] * 3 + ["Shines"]
    data = built({"stock": [1, 2, 3, 4], "brand": ["Acme"] * 4, "description": prose})

    kept = pl.read_parquet(tmp_path / "data" / "attributes.parquet")

    assert kept.columns == ["item_id", "price", "stock_code", "stock", "brand"]
    assert kept["item_id"].to_list() == list(data.item_ids)
    assert read_manifest(tmp_path / "data", "data").facts["attributes"] == {
        "price": "number",
        "stock_code": "keyword",
        "stock": "number",
        "brand": "keyword",
    }


def test_text_columns_can_be_filtered_by(built, tmp_path):
    data = built({"brand": ["Acme", "Zeta", "Acme", None], "tags": [["x", "y"], ["y"], [], None]})
    postings = load_postings(tmp_path / "data")

    def ids(name, *values):
        return {data.item_ids[row] for row in postings[name][1].rows(values)}

    assert ids("brand", "Acme") == {"a", "c"}
    assert ids("tags", "y", "x") == {"a", "b"}
    assert "Acme" in data.texts[0] + data.texts[1] + data.texts[2] + data.texts[3]
    price = postings["price"][1]
    assert {data.item_ids[row] for row in price.at([price.span(3, 8)])} == {"b", "d"}


def test_the_manifest_counts_kept_rows_and_the_report_dropped_ones(built, tmp_path):
    built(events={"item_id": ["a", "b", "c", "b", "a", "b", "gone"]})

    facts = read_manifest(tmp_path / "data", "data").facts
    report = json.loads((tmp_path / "data" / "cleaning.json").read_text())

    assert (facts["users"], facts["items"]) == (2, 4)
    assert facts["interactions"] == {"train": 4, "valid": 1, "test": 1}  # v has no third item
    assert facts["dropped"]["interactions: unknown item"] == 1
    unknown = next(step for step in report if step["rule"] == "unknown item")
    assert (unknown["rows_in"], unknown["rows_out"], unknown["dropped"]) == (7, 6, 1)


def test_a_stage_is_current_until_source_configuration_or_bytes_change(make_folder, tmp_path):
    folder, out = make_folder(), tmp_path / "data"
    source = open_source(str(folder))
    build(DataConfig(), source, out)
    assert is_current(DataConfig(), source, out)

    assert not is_current(DataConfig(token_budget=5), source, out)

    make_folder({"title": ["A", "B", "C", "D"]})
    assert not is_current(DataConfig(), source, out)

    make_folder()
    assert is_current(DataConfig(), source, out)
    (out / "items.npy").write_bytes((out / "items.npy").read_bytes()[:-1] + b"\x07")
    assert not is_current(DataConfig(), source, out)


def test_an_interrupted_build_leaves_no_stage(make_folder, tmp_path, monkeypatch):
    def save_half(folder, data):
        np.save(folder / "items.npy", data.items)
        raise KeyboardInterrupt

    monkeypatch.setattr(build_module, "save_dataset", save_half)
    with pytest.raises(KeyboardInterrupt):
        build(DataConfig(), open_source(str(make_folder())), tmp_path / "data")

    with pytest.raises(MissingArtifactError):
        read_manifest(tmp_path / "data", "data")


def test_an_interrupted_build_leaves_the_old_stage(make_folder, tmp_path, monkeypatch):
    source = open_source(str(make_folder()))
    build(DataConfig(), source, tmp_path / "data")
    before = read_manifest(tmp_path / "data", "data")

    monkeypatch.setattr(build_module, "to_arrays", None)
    with pytest.raises(TypeError):
        build(DataConfig(token_budget=3), source, tmp_path / "data")

    assert read_manifest(tmp_path / "data", "data") == before
    verify_files(tmp_path / "data", before)


def test_ml_100k_is_read_as_recbole_ships_it(tmp_path):
    (tmp_path / "ml-100k.item").write_text(
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        '1\tToy "Story"\t1995\tAnimation Comedy\n2\tOdd\tV\tDrama\n'
    )
    (tmp_path / "ml-100k.inter").write_text(
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        + "".join(f"{user}\t{item}\t3\t88125094{user}\n" for user in (1, 2) for item in (1, 2))
    )

    (tmp_path / "ml-100k.user").write_text(
        "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
        "1\t24\tM\ttechnician\t85711\n2\t53\tF\tother\t94043\n"
    )

    build(DataConfig(), ml_100k(tmp_path), tmp_path / "data")

    data = load_dataset(tmp_path / "data")
    columns = load_user_columns(tmp_path / "data")
    assert {name: kind for name, (kind, _) in columns.items()} == {
        "age": "number", "gender": "keyword", "occupation": "keyword",
    }  # fmt: skip
    texts = dict(zip(data.item_ids, data.texts, strict=True))
    assert texts == {"1": 'Toy "Story". Animation Comedy', "2": "Odd. Drama"}
    assert sorted(data.times) == [881250941 * 10**6] * 2 + [881250942 * 10**6] * 2
    attributes = pl.read_parquet(tmp_path / "data" / "attributes.parquet")
    assert dict(attributes.select("item_id", "year").rows()) == {"1": 1995, "2": None}


def test_actions_are_numbered_from_1_and_an_empty_one_is_unknown(built):
    actions = ["view", "buy", None, "buy", "", "wish", "view"]
    data = built(events={"action": actions, "split": ["train"] * 5 + ["test", "train"]})

    assert data.timed
    assert data.action_names == ["buy", "view", "wish"]  # `wish` is not in the training split
    by_user = {
        user: data.actions[start:end].tolist()
        for user, start, end in zip(data.user_ids, data.offsets, data.offsets[1:], strict=False)
    }
    assert by_user == {"u": [2, 1, 0], "v": [1, 0, 3], "w": [2]}


def test_an_action_that_begins_after_the_training_split_keeps_its_weight(built):
    split = ["train"] * 5 + ["test", "train"]
    data = built(events={"action": ["view"] * 4 + ["cart", "purchase", "view"], "split": split})

    weights = dict(zip(data.action_names, data.weight_of_action[1:], strict=True))
    assert weights == {"cart": 0.375, "view": 0.125, "purchase": 1}
    excluded = dict(zip(data.action_names, data.action_excludes[1:], strict=True))
    assert excluded["purchase"]


def test_an_action_without_a_weight_counts_like_a_view_whenever_it_begins(built):
    split = ["train"] * 5 + ["test", "train"]
    data = built(events={"action": ["purchase"] * 4 + ["view", "wave", "view"], "split": split})

    weights = dict(zip(data.action_names, data.weight_of_action[1:], strict=True))
    assert weights["wave"] == weights["view"] < weights["purchase"]


def test_columns_of_interactions_without_a_use_are_named_once(built, caplog):
    built(events={"quantity": [3] * 7, "currency": ["EUR"] * 7})

    assert caplog.text.count("columns without a use: 'quantity', 'currency'") == 1


def test_interactions_of_untitled_and_of_unknown_items_are_told_apart(built, caplog):
    built({"title": [None, "B", "C", "D"]}, {"item_id": ["a", "b", "c", "b", "a", "x", "d"]})

    assert "1 of 7 interactions name items that the catalogue lacks, like 'x'" in caplog.text
    assert "2 of 7 interactions are on items without a title; fill the titles" in caplog.text


def test_texts_of_times_are_read_once(built, monkeypatch):
    read = []
    monkeypatch.setattr(
        timestamps, "read_dates", lambda texts: read.append(len(texts)) or read_dates(texts)
    )

    built(events={"timestamp": [f"2024-01-0{day}T12:00:00Z" for day in range(1, 8)]})

    assert read == [7]


def test_an_order_without_times_gives_no_gaps(built):
    data = built(events={"timestamp": None, "order": [1, 2, 3, 10, 20, 30, 5]})

    assert not data.timed
    assert not data.codes(data.splits < 3, data.offsets[:-1]).any()


def test_times_that_contradict_the_order_give_no_gaps(built):
    data = built(events={"order": [3, 2, 1, 10, 20, 30, 5]})

    assert not data.timed
    assert not data.codes(data.splits < 3, data.offsets[:-1]).any()


def test_actions_on_one_item_at_one_time_have_a_fixed_order(built):
    columns = {"user_id": ["u"] * 6, "item_id": ["a"] * 3 + ["b"] * 3, "timestamp": [START] * 6}
    first = built(events={**columns, "action": ["view", "buy", "cart"] * 2}, user_core=1)
    again = built(events={**columns, "action": ["cart", "buy", "view"] * 2}, user_core=1)

    np.testing.assert_array_equal(first.items, again.items)
    np.testing.assert_array_equal(first.actions, again.actions)
    np.testing.assert_array_equal(first.splits, again.splits)


def test_mixed_units_are_read_by_value_and_noted(built, tmp_path, caplog):
    caplog.set_level("INFO")
    seconds = [START + n for n in (1, 2, 3, 10, 20, 30, 5)]
    mixed = [second * 1_000 if n % 3 else second for n, second in enumerate(seconds)]

    data = built(events={"timestamp": mixed})

    assert sorted(data.times) == [second * 1_000_000 for second in sorted(seconds)]
    (note,) = [n for n in read_manifest(tmp_path / "data", "data").facts["notes"] if "units" in n]
    assert note == (
        "column 'timestamp' mixes units, and each value is read by its own: "
        "4 as milliseconds and 3 as seconds"
    )
    assert note in caplog.text


def test_the_manifest_says_how_the_data_was_split(built, tmp_path, caplog):
    caplog.set_level("INFO")
    times = {"user_id": ["u"] * 7, "item_id": list("abcdabc")}

    built(events=times, valid_share=0.2, test_share=0.5, burst_seconds=None)
    assert read_manifest(tmp_path / "data", "data").facts["split"] == (
        "time-cut, valid from 2023-11-14T22:13:23+00:00, test from 2023-11-14T22:13:25+00:00"
    )

    built(events={**times, "split": ["train"] * 7}, split="time-cut", burst_seconds=None)
    facts, note = read_manifest(tmp_path / "data", "data").facts, "the option split: time-cut does"
    assert facts["split"] == "the column `split`"
    assert note in facts["notes"][0]
    assert note in caplog.text


def with_a_bot(people=6):
    """Days of people, one double click, and a bot that looks at one item for hours."""
    rows = [
        (f"p{person}", item, START + day * 86_400 + 61 * place)
        for person in range(people)
        for day in range(4)
        for place, item in enumerate("abcd"[: 2 + person % 2])
    ]
    rows += [("p0", "d", START + 400_000), ("p0", "d", START + 400_002)] if people else []
    rows += [("bot", "d", START + second) for second in range(0, 12_000, 5)]
    columns = ["user_id", "item_id", "timestamp"]
    return pl.DataFrame(rows, schema=columns, orient="row").with_columns(action=pl.lit("view"))


def test_what_is_capped_is_counted_and_only_the_report_names_the_users(built, tmp_path, caplog):
    caplog.set_level("INFO")

    data = built(events=with_a_bot())

    assert "bot" not in data.user_ids
    report = json.loads((tmp_path / "data" / "cleaning.json").read_text())
    lost = {step["rule"]: step["lost"] for step in report if step["lost"]["users"]}
    assert lost == {
        "account beyond 500 moments a day": {"users": 1, "most": {"bot": 2_400}},
        "repeated within 3 seconds": {"users": 1, "most": {"p0": 1}},
    }
    notes = read_manifest(tmp_path / "data", "data").facts["notes"]
    assert "leaves out 2,400 of 2,462 interactions (1 user); `cleaning.json` names" in notes[0]
    assert not [note for note in notes if "bot" in note or "p0" in note]
    assert all(note in caplog.text for note in notes)


@pytest.mark.parametrize("off", [None, 0])
def test_every_cap_can_be_turned_off(built, off):
    events = with_a_bot()

    data = built(events=events, account_cap=off, burst_seconds=off, daily_cap=off)

    assert len(data.items) == len(events)


def test_a_shop_of_a_bot_alone_is_built(built):
    data = built(events=with_a_bot(people=0))

    assert list(data.user_ids) == ["bot"]
    assert len(data.items) == 2 * 20  # of two days


def test_items_of_one_basket_are_one_moment(built):
    baskets = ["x", "x", "y", "p", "q", "q", None]

    data = built(events={"basket": baskets})

    of_user = {
        user: data.moments[start:end].tolist()
        for user, start, end in zip(data.user_ids, data.offsets, data.offsets[1:], strict=False)
    }
    assert of_user == {"u": [0, 0, 1], "v": [0, 1, 1], "w": [0]}
    assert built(events={"basket": [1, 1, 2, 3, 4, 4, None]}).moments.tolist() == (
        data.moments.tolist()
    )

import json
import time

import polars as pl
import pytest

from events.privacy.user_names import digest_of
from serving.__main__ import main
from shortlist_client.api.exposure import Exposure

NOW = int(time.time())


def shown(request_id, time, **fields):
    given = {"method": "recommend", "item_ids": ("i", "j"), "scores": (0.5, 0.25), **fields}
    return Exposure(request_id=request_id, time=time, **given)


@pytest.fixture
def logged(store):
    exposures = [
        shown("b", NOW - 86_400 * 3, user_id="u", propensities=(0.5, 1.0)),
        shown("c", NOW - 60, user_id="日", placement="home", release="r-1"),
        shown("a", 5, user_id="v", item_ids=("i",), scores=(1e300,)),
    ]
    store.exposures.append(exposures)
    return [exposures[2], *exposures[:2]]


def read(path):
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    else:
        rows = pl.read_parquet(path).to_dicts()
    lists = ("item_ids", "scores", "propensities")
    return [Exposure(**{**row, **{name: tuple(row[name]) for name in lists}}) for row in rows]


@pytest.mark.parametrize("name", ["shown.parquet", "shown.jsonl"])
def test_exposures_are_written_as_they_were_logged(root, logged, name):
    path = root / name

    main(["export-exposures", "--artifacts", str(root), "--output", str(path)])
    assert read(path) == logged

    first = path.read_bytes()
    main(["export-exposures", "--artifacts", str(root), "--output", str(path), "--days", "9"])
    assert read(path) == logged[1:]
    main(["export-exposures", "--artifacts", str(root), "--output", str(path)])
    assert path.read_bytes() == first


def test_a_store_without_exposures_gives_an_empty_table(root, store):
    for name in ("shown.parquet", "shown.jsonl"):
        main(["export-exposures", "--artifacts", str(root), "--output", str(root / name)])
        assert read(root / name) == []


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (["--output", "shown.csv"], "output must be a .parquet or .jsonl file, got shown.csv"),
        (["--output", "shown.jsonl", "--days", "0"], "days must be positive, got 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(root, store, capsys, options, rule):
    with pytest.raises(SystemExit):
        main(["export-exposures", "--artifacts", str(root), *options])

    assert rule in capsys.readouterr().err


def test_exposures_of_a_user_erased_beside_the_releases_are_not_exported(root, store, logged):
    from events.privacy.erased_users import erased_beside

    erased_beside(root).add({digest_of("u"): NOW})

    main(["export-exposures", "--artifacts", str(root), "--output", str(root / "shown.jsonl")])

    assert [one.user_id for one in read(root / "shown.jsonl")] == ["v", "日"]


def test_old_exposures_are_pruned_by_age_and_by_number(root, store, logged):
    main(["prune-exposures", "--artifacts", str(root), "--exposures.days", "9"])
    assert [one.request_id for one in store.exposures.scan()] == ["b", "c"]

    main(["prune-exposures", "--artifacts", str(root), "--exposures.max_rows", "1"])
    assert [one.request_id for one in store.exposures.scan()] == ["c"]


def test_exposures_are_part_of_what_is_exported_and_erased_of_a_user(root, store, logged, capsys):
    user = ["--user", "u", "--artifacts", str(root)]

    main(["export", *user])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    main(["erase", *user])

    (line,) = [line for line in lines if line["stored_in"] == "exposure"]
    assert (line["request_id"], line["propensities"]) == ("b", [0.5, 1.0])
    assert [one.user_id for one in store.exposures.scan()] == ["v", "日"]

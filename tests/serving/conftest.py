import json
import shutil
import subprocess
import sys
from dataclasses import replace

import polars as pl
import pytest

from backbone.config import TrainingConfig
from classifier.__main__ import classify
from classifier.config import ClassifierConfig
from dataset.arrays import StringColumn
from serving.api.limits import Limits
from serving.engine.engine import Engine, EngineConfig
from serving.live.live_engine import LiveEngine
from serving.replication.journal_log import JournalLog
from serving.replication.postgresql_log import PostgresqlLog
from shortlist_client.client import RecommenderClient
from tests.conftest import shop_attributes


@pytest.fixture(scope="session", autouse=True)
def cold_engines():
    """Engines are not warmed up when they are loaded: that takes longer than most tests."""
    with pytest.MonkeyPatch.context() as always:
        always.setattr("serving.engine.engine.WARM_UPS", 0)
        yield


@pytest.fixture
def warm_engines(monkeypatch):
    """Engines are warmed up when they are loaded, as they are in production."""
    monkeypatch.setattr("serving.engine.engine.WARM_UPS", 1)


@pytest.fixture(scope="session")
def renamed(own_copy, build_release, shop):
    """Stages of the shop with a new item instead of i239, and a new text of i238."""
    ids, titles = list(shop.item_ids), list(shop.titles)
    ids[239], titles[239] = "held", "red shirt mug"
    titles[238] = "navy navy"
    data = replace(
        shop,
        item_ids=StringColumn.of(ids),
        titles=StringColumn.of(titles),
        texts=StringColumn.of(titles),
    )
    return own_copy("renamed", lambda root: build_release(root, data, epochs=1))


@pytest.fixture(scope="session")
def labelled_items(made_once, shop):
    """Folder with the shop's items: a path of shade and colour beside what the catalogue has."""

    def make(root):
        items = shop_attributes(shop).with_columns(pl.Series("title", list(shop.titles)))
        shade = pl.when(pl.col("price") < 120).then(pl.lit("light")).otherwise(pl.lit("dark"))
        path = pl.concat_str(shade, pl.lit(" > "), "colour").alias("place")
        items.with_columns(path).drop("colour").write_parquet(root / "items.parquet")

    return made_once("labelled", make)


@pytest.fixture(scope="session")
def classified_release(own_copy, release, labelled_items, tiny_bert, tmp_path_factory):
    """Stages of the shop with a classifier of places and prices."""

    def make(root):
        shutil.copytree(release, root)
        training = TrainingConfig(
            max_epochs=2, batch_size=32, learning_rate=3e-3, new_learning_rate=3e-3
        )
        config = ClassifierConfig(
            target="place,price",
            backbone=str(tiny_bert),
            training=replace(training, trained_layers=2),
            refit=False,
        )
        classify(config, labelled_items, root, tmp_path_factory.mktemp("reports"), "the command")

    return own_copy("classified", make)


@pytest.fixture(scope="session")
def base(release):
    return Engine.load(release, EngineConfig(ranked=6, limits=Limits(shortlist=12)))


@pytest.fixture(params=["journal", "postgresql"])
def opened_log(request, tmp_path):
    """Opens the same change log again, as another process would."""
    logs = []
    if request.param == "postgresql":
        address = request.getfixturevalue("postgres").empty()

    def opened():
        logs.append(
            JournalLog(tmp_path / "CHANGES")
            if request.param == "journal"
            else PostgresqlLog(address)
        )
        return logs[-1]

    yield opened
    for log in logs:
        log.close()


@pytest.fixture
def root(release, tmp_path):
    """A folder with links to the release's stages."""
    root = tmp_path / "shop"
    root.mkdir()
    for stage in ("data", "trial", "towers", "index", "ranker"):
        (root / stage).symlink_to(release / stage)
    return root


@pytest.fixture
def engine(base, root):
    """Live engine over the base engine."""
    engine = LiveEngine(base, root)
    yield engine
    engine.close()


@pytest.fixture
def engine_client(start, engine):
    """Client of a server that answers with `engine`."""
    running = start(lambda: engine)
    running.loaded.result(10)
    with RecommenderClient(running.address, timeout=10) as client:
        yield client


@pytest.fixture(scope="session")
def run_script(pytestconfig):
    """Run a Python script in another process; return the JSON values that it prints, one a line."""

    def run(script, *arguments):
        finished = subprocess.run(
            [sys.executable, "-c", script, *map(str, arguments)],
            cwd=pytestconfig.rootpath,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return [json.loads(line) for line in finished.stdout.splitlines()]

    return run

"""The README's Python snippets run as written, against a server with a shop like the demo's."""

import re
from dataclasses import replace

import polars as pl
import pytest

from dataset.arrays import StringColumn
from events.open_store import open_store
from serving.engine.engine import EngineConfig
from serving.live.live_engine import LiveEngine

SECONDS = 60
WORDS = 2_000


@pytest.fixture(scope="module")
def readme(pytestconfig):
    return (pytestconfig.rootpath / "README.md").read_text()


@pytest.fixture(scope="module")
def demo_release(tmp_path_factory, build_release, shop):
    """Stages of a shop with the ids and the attributes of MovieLens-100k."""
    items, users = len(shop.item_ids), len(shop.user_ids)
    movies = replace(
        shop,
        item_ids=StringColumn.of([str(row) for row in range(items)]),
        user_ids=StringColumn.of([str(row) for row in range(users)]),
    )
    genres = ["Comedy", "Drama", "Horror", "Western"]
    attributes = pl.DataFrame(
        {
            "item_id": list(movies.item_ids),
            "category": [genres[row % len(genres)] for row in range(items)],
            "year": [1980 + row % 20 for row in range(items)],
        }
    )
    return build_release(tmp_path_factory.mktemp("demo") / "ml-100k", movies, attributes)


def test_every_python_snippet_runs_as_written(readme, demo_release, start, tmp_path):
    snippets = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    engine = LiveEngine.load(demo_release, EngineConfig())
    server = start(lambda: engine, parts={"store": open_store(str(tmp_path / "events.sqlite"))})
    server.loaded.result(SECONDS)
    names: dict[str, object] = {"print": lambda *_: None}

    assert len(snippets) >= 3
    try:
        for snippet in snippets:  # in one namespace, as a reader would paste them
            exec(snippet.replace("localhost:50051", server.address), names)
    finally:
        names["client"].close()
        engine.close()

    assert len(names["answer"].items) == 10


def test_the_readme_is_short(readme):
    assert len(readme.split()) <= WORDS

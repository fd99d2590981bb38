"""The commands of the pages exist, and their Python snippets run as written.

The snippets run against a server with a shop like the demo's.
"""

import re
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from dataset.arrays import StringColumn
from events.open_store import open_store
from serving.engine.engine import EngineConfig
from serving.live.live_engine import LiveEngine

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "CONTRIBUTING.md", *(f"docs/{page.name}" for page in ROOT.glob("docs/*.md"))]
SNIPPETS = ["README.md", "docs/operations.md", "packaging/client/README.md"]
CODE = re.compile(r"```[a-z]*\n.*?```|`[^`\n]+`", re.DOTALL)
MADE = re.compile(r"(?:^|`)make((?: +[a-z][a-z-]*(?![\w=./-]))+)", re.MULTILINE)
SECONDS = 60
WORDS = 2_000


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
    root = tmp_path_factory.mktemp("demo") / "ml-100k"
    return build_release(root, movies, attributes, epochs=1, last_fit=False)


@pytest.fixture
def demo_server(demo_release, start, tmp_path):
    engine = LiveEngine.load(demo_release, EngineConfig())
    server = start(lambda: engine, parts={"store": open_store(str(tmp_path / "events.sqlite"))})
    server.loaded.result(SECONDS)
    yield server
    engine.close()


def run_snippets(page, server):
    """Run a page's snippets one after another, as a reader would paste them."""
    names: dict[str, object] = {"print": lambda *_: None}
    snippets = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert snippets
    try:
        for snippet in snippets:
            exec(snippet.replace("localhost:50051", server.address), names)
    finally:
        if "client" in names:
            names["client"].close()
    return names


@pytest.mark.parametrize("page", SNIPPETS)
def test_every_python_snippet_runs_as_written(demo_server, page):
    names = run_snippets(page, demo_server)

    if "answer" in names:
        assert len(names["answer"].items) == 10


def test_every_page_with_python_against_a_server_is_run():
    pages = {"packaging/client/README.md", *PAGES}
    imports = "from shortlist_client import"

    assert {page for page in pages if imports in (ROOT / page).read_text()} == set(SNIPPETS)


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_of_a_page_exists(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    code = "\n".join(CODE.findall((ROOT / page).read_text()))

    named = {target for made in MADE.findall(code) for target in made.split()}

    assert named - targets == set()


def test_make_targets_are_found_in_code():
    found = MADE.findall("`make lint`\nmake demo serve\nmake bench-live FULL=--full # make it long")

    assert [made.split() for made in found] == [["lint"], ["demo", "serve"], ["bench-live"]]


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().split()) <= WORDS

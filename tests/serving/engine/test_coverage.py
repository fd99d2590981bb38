"""Coverage: how many items each stage of an answer looked at."""

import time

import pytest

from serving.api.limits import Limits
from serving.api.request import Method, Request
from serving.engine.engine import Engine, EngineConfig
from serving.live.live_engine import LiveEngine
from shortlist_client.api.answer import Coverage
from shortlist_client.api.filters import AnyOf, Filters
from shortlist_client.api.item import Item
from shortlist_client.api.request import Diversity, Shopper, Wishes

HISTORY = ("i3", "i1", "i3", "i45")
RED = Filters(must=[AnyOf("colour", ["red"])])  # i0 to i19


@pytest.fixture(scope="module")
def engine(release):
    return Engine.load(release, EngineConfig(ranked=6, limits=Limits(shortlist=12)))


@pytest.mark.parametrize(
    ("asked", "searched", "recalled", "ranked"),
    [
        ({"history": HISTORY}, 237, 12, 6),
        ({"history": HISTORY, "limit": 1}, 237, 12, 6),
        ({"history": HISTORY, "filters": RED}, 18, 12, 6),
        ({"history": HISTORY, "exclude": ["i3", "i7", "gone"]}, 236, 12, 6),
        ({"history": HISTORY, "diversity": Diversity(at_most={"colour": 1})}, 237, 12, 6),
        ({"search": "blue lamp"}, 240, 12, 0),
        ({}, 240, 12, 0),
        ({"filters": RED, "exclude": [f"i{row}" for row in range(15)]}, 5, 5, 0),
    ],
)
def test_an_answer_counts_the_items_of_each_stage(engine, asked, searched, recalled, ranked):
    asked = dict(asked)
    shopper = Shopper(history=asked.pop("history", ()), search=asked.pop("search", ""))
    wishes = Wishes(**{"limit": 5, **asked})
    covered = engine.recommend(shopper, wishes).coverage
    retrieved = engine.retrieve(shopper, wishes).coverage

    assert covered == Coverage(corpus=240, searched=searched, recalled=recalled, ranked=ranked)
    assert retrieved == Coverage(corpus=240, searched=searched, recalled=recalled, ranked=0)


def test_coverage_counts_candidates_and_neighbours(engine):
    ranked = engine.rank(
        Shopper(history=HISTORY), ["i9", "gone", "i4", "i9"], Wishes(limit=1)
    ).coverage
    similar = engine.similar("i4", Wishes(limit=7, filters=RED)).coverage

    assert ranked == Coverage(corpus=240, searched=2, recalled=2, ranked=2)
    assert similar == Coverage(corpus=240, searched=19, recalled=7, ranked=0)


def test_without_time_to_rank_coverage_counts_no_ranked_items(engine):
    shopper, wishes = Shopper(history=HISTORY), Wishes(limit=5)
    engine.recommend(shopper, wishes)
    ask = Request(
        method=Method.RECOMMEND, shopper=shopper, wishes=wishes, deadline=time.monotonic() + 1e-4
    )

    ((_, answer),) = engine.answers([ask])

    assert answer.degraded
    assert answer.coverage == Coverage(corpus=240, searched=237, recalled=12, ranked=0)


def test_coverage_counts_item_changes(engine, release, tmp_path):
    root = tmp_path / "shop"
    root.mkdir()
    for stage in ("data", "towers", "ranker"):
        (root / stage).symlink_to(release / stage)
    live = LiveEngine(engine, root)
    live.upsert([Item(item_id="new", title="blue lamp"), Item(item_id="i3", title="red mug")])
    live.delete(["i1", "i100"])

    covered = live.current.recommend(Shopper(history=HISTORY), Wishes(limit=5)).coverage
    filtered = live.current.recommend(
        Shopper(history=HISTORY), Wishes(limit=5, exclude=["i7"])
    ).coverage
    live.close()

    assert (covered.corpus, covered.searched) == (239, 237)  # all but i3, as it is now, and i45
    assert filtered.searched == 236

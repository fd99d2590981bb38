"""Item changes before a rebuild that contains some of them."""

import shutil
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from backbone.config import TrainingConfig
from lineage.cli import run
from lineage.journal import Journal
from lineage.journal_records import read_journal
from lineage.releases import live_release
from ranker.config import RankerConfig
from ranker.train import train
from serving.api.limits import Limits
from serving.catalogue.change_log import CHANGES, latest
from serving.engine.engine import EngineConfig
from serving.live.live_engine import LiveEngine
from serving.releases.publish import PublishConfig, publish, roll_back
from shortlist_client.api.filters import AnyOf, Filters, Range
from shortlist_client.api.item import Item
from shortlist_client.api.request import Shopper, Wishes

CONFIG = EngineConfig(ranked=6, limits=Limits(shortlist=12))
TWO = PublishConfig(keep=2)


@pytest.fixture
def releases(tmp_path, release):
    folder = tmp_path / "releases" / "shop"
    publish(release, folder, TWO)
    return folder


def opened(releases):
    return LiveEngine.load(live_release(releases), CONFIG)


def attributes(colour, thing, row):
    """Attributes of an item in the rebuilt release."""
    since = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=row)
    had = {"colour": colour, "thing": [thing], "price": row, "new": row >= 200}
    return {**had, "since": since.isoformat()}


def changed(engine):
    """Make changes of every kind: some in the rebuilt release, some not."""
    engine.upsert(
        [
            Item(item_id="held", title="red shirt mug", attributes=attributes("red", "mug", 239)),
            Item(item_id="i238", title="navy  navy", attributes=attributes("navy", "navy", 238)),
            Item(item_id="other", title="teal rug"),
            Item(item_id="i4", title="gold gold"),
        ]
    )
    engine.delete(["i239", "i7"])


def expected(engine):
    """Require the same changed items from any release."""
    catalogue = engine.current.cascade.catalogue
    titles = {name: catalogue.row(name) for name in ("held", "i238", "other", "i4")}
    assert {name: catalogue.title(row) for name, row in titles.items()} == {
        "held": "red shirt mug",
        "i238": "navy navy",
        "other": "teal rug",
        "i4": "gold gold",
    }
    assert catalogue.row("i239") is catalogue.row("i7") is None
    every = engine.current.retrieve(Shopper(search="navy basket"), Wishes(limit=12)).items
    assert not {"i239", "i7"} & {item.item_id for item in every}


def journalled(releases):
    return set(latest(read_journal(releases / CHANGES)))


def test_a_rebuild_absorbs_the_changes_it_contains_and_rolling_back_loses_none(
    releases, renamed, tiny_bert, tmp_path, caplog
):
    rebuilt = shutil.copytree(renamed, tmp_path / "rebuilt" / "shop")
    caplog.set_level("INFO", "serving")
    engine = opened(releases)
    engine.upsert([Item(item_id="i238", title="not yet")])
    changed(engine)
    again = attributes("navy", "navy", 238)
    engine.upsert([Item(item_id="i238", title="navy navy", attributes=again)])
    engine.close()
    assert len(engine.current.cascade.catalogue) == 240 + 2 - 2

    publish(rebuilt, releases, TWO)
    after = opened(releases)
    expected(after)
    rows = {
        name: after.current.cascade.catalogue.row(name) for name in ("held", "i238", "other", "i4")
    }
    assert {name: row < 240 for name, row in rows.items()} == {
        "held": True,
        "i238": True,
        "other": False,
        "i4": False,
    }
    assert journalled(releases) == {"held", "i238", "other", "i4", "i239", "i7"}

    roll_back(releases)
    before = opened(releases)
    expected(before)
    roll_back(releases, after.current.versions["release"])

    few = TrainingConfig(max_epochs=1, examples_per_epoch=32, batch_size=32)
    ranker = RankerConfig(backbone=str(tiny_bert), width=32, ranked=6, training=few)
    run("ranker", ranker, rebuilt, train)
    publish(rebuilt, releases, TWO)
    assert journalled(releases) == {"other", "i4", "i7"}
    expected(opened(releases))
    assert "3 changes of items dropped" in caplog.text


OTHERS = [
    {"price": None},
    {"price": 5.5},
    {"colour": "green"},
    {"colour": ["red", "green"]},
    {"new": True},
    {"since": "2030-01-01T00:00+01:00"},
]
CLAUSES = [
    *(AnyOf("price", [price]) for price in (0, 1, 2, 3, 5.5)),
    *(AnyOf("colour", [colour]) for colour in ("red", "green")),
    *(AnyOf("new", [new]) for new in (True, False)),
    Range("since", gte=date(2029, 1, 1)),
]


def test_a_rebuild_from_older_data_does_not_revert_attributes(releases, renamed, shop):
    engine = opened(releases)
    engine.upsert(
        [
            Item(
                item_id=f"i{row}",
                title=shop.titles[row],
                attributes=attributes(*shop.titles[row].split(), row) | others,
            )
            for row, others in enumerate([{}, *OTHERS])
        ]
    )
    engine.close()

    publish(renamed, releases, TWO)

    after = opened(releases)
    now = [after.current.cascade.catalogue.row(f"i{row}") for row in range(7)]
    assert [row < 240 for row in now] == [True] + [False] * 6
    assert fitting(after) == fitting(engine)


def fitting(engine):
    """Rows of the changed items that pass each clause."""
    known, catalogue = engine.current.cascade.attributes, engine.current.cascade.catalogue
    found = [set(known.matching(Filters(must=[clause]))) for clause in CLAUSES]
    return [[row for row in range(7) if catalogue.row(f"i{row}") in fit] for fit in found]


def test_a_change_after_publishing_is_kept_even_with_the_same_text(releases, shop):
    engine = opened(releases)
    engine.upsert([Item(item_id="i3", title=shop.titles[3], attributes={"price": 7})])
    engine.close()

    again = opened(releases)
    again.delete(["i8"])
    again.close()
    assert journalled(releases) == {"i3", "i8"}
    row = again.current.cascade.catalogue.row("i3")
    assert row >= 240


def test_new_items_are_encoded_by_the_towers_of_the_new_release(releases, renamed):
    engine = opened(releases)
    engine.upsert([Item(item_id="other", title="teal rug")])
    engine.close()
    publish(renamed, releases, TWO)

    after, fresh = opened(releases), opened(releases)
    fresh.upsert([Item(item_id="same", title="teal rug")])
    np.testing.assert_array_equal(vector_of(after, "other"), vector_of(fresh, "same"))
    assert abs(vector_of(after, "other") - vector_of(engine, "other")).max() > 1e-3
    fresh.close()


def vector_of(engine, item_id):
    now = engine.current
    row = np.array([now.cascade.catalogue.row(item_id)])
    return now.cascade.retriever.sources.index.vectors(row)[0]


def test_publishing_does_not_touch_the_journal_of_a_running_server(releases, renamed, caplog):
    engine = opened(releases)
    changed(engine)
    written = (releases / CHANGES).read_bytes()

    caplog.set_level("INFO", "serving")
    publish(renamed, releases, TWO)

    assert (releases / CHANGES).read_bytes() == written
    assert "changes of items stay until the server loads the release: " in caplog.text
    engine.delete(["i9"])
    engine.close()
    after = opened(releases)
    expected(after)
    assert after.current.cascade.catalogue.row("i9") is None


def test_a_damaged_journal_does_not_prevent_publishing(releases, renamed, caplog):
    (releases / CHANGES).write_text("what is this, that is no journal?")

    publish(renamed, releases, TWO)

    assert live_release(releases).name
    assert "must begin with" in caplog.text


def test_a_journal_belongs_to_one_folder(releases, release):
    Journal(releases / CHANGES).close()

    assert not (release / CHANGES).exists()

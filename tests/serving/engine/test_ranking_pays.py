"""A ranker that did not pay in validation is not asked."""

import shutil

import pytest

from lineage.cli import finished_config, run
from ranker.config import RankerConfig
from ranker.train import train
from serving.engine.engine import Engine, EngineConfig
from shortlist_client.api.request import Shopper, Wishes


@pytest.fixture(scope="module")
def without_gain(tmp_path_factory, release):
    """The release with a ranker that did not pay."""
    root = shutil.copytree(release, tmp_path_factory.mktemp("without_gain") / "shop")
    config = finished_config(root, "ranker", RankerConfig)
    shutil.rmtree(root / "ranker")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evaluation.paired_gain.Gain.pays", False)
        run("ranker", config, root, train)
    return root


def test_serving_skips_a_ranker_that_does_not_pay(without_gain):
    engine = Engine.load(without_gain, EngineConfig())
    shopper = Shopper(user_id="u3")

    answer, recalled = (
        ask(shopper, Wishes(limit=10)) for ask in (engine.recommend, engine.retrieve)
    )

    assert answer.coverage.ranked == 0
    assert [item.item_id for item in answer.items] == [item.item_id for item in recalled.items]


def test_an_option_ranks_all_the_same(without_gain):
    engine = Engine.load(without_gain, EngineConfig(ranked=6))

    assert engine.recommend(Shopper(user_id="u3"), Wishes(limit=10)).coverage.ranked == 6

"""Shortlists of a log of searches: the ranker learns from the training searches, too."""

from dataclasses import replace

import numpy as np
import pytest

from backbone.config import TrainingConfig
from dataset.arrays import TRAIN, load_dataset
from dataset.list_cases import list_cases
from index import stage as index_stage
from index.config import IndexConfig
from lineage.cli import run
from ranker.config import RankerConfig
from ranker.shortlists import Shortlists
from ranker.train import train
from retrieval.config import ShortlistsConfig
from retrieval.mine_shortlists import mine
from towers import train as towers_train
from towers.config import TowersConfig


@pytest.fixture(scope="module")
def stages(own_copy, faq, tiny_bert):
    """Stages of the FAQ, with towers that embed a search by its words alone."""
    training = TrainingConfig(max_epochs=1, examples_per_epoch=64, batch_size=32, trained_layers=2)
    config = TowersConfig(
        backbone=str(tiny_bert),
        dimension=16,
        widths=[8],
        searches=0,
        item_layers=1,
        residual=False,
        training=training,
    )

    def make(root):
        root.mkdir()
        (root / "data").symlink_to(faq / "stages" / "data")
        run("trial/towers", config, root, towers_train.trial)
        run("trial/index", IndexConfig(), root, index_stage.trial)
        run("trial/shortlists", ShortlistsConfig(size=20), root, mine)

    return own_copy("searched-lists", make)


@pytest.fixture(scope="module")
def shortlists(stages):
    return Shortlists.load(stages / "trial" / "shortlists")


def test_only_users_who_did_nothing_but_search_for_one_thing_make_a_log(stages, shop):
    data = load_dataset(stages / "data")
    assert data.searches_alone
    assert not shop.searches_alone
    of = np.array(data.searches.of)
    of[0] = -1
    once_without = replace(data, searches=replace(data.searches, of=of))
    assert not once_without.searches_alone


def test_the_ranker_learns_from_the_training_searches_but_is_judged_by_others(stages, shortlists):
    splits = np.asarray(load_dataset(stages / "data").splits)[shortlists.places]

    assert (splits[: shortlists.learnt] == TRAIN).sum() > (splits != TRAIN).sum()
    assert (splits[shortlists.learnt :] != TRAIN).all()


def test_no_feature_counts_what_the_log_holds_of_an_item(shortlists):
    counts = ("popularity", "era", "purchases that are a user's last")
    columns = [shortlists.feature_names.index(name) for name in counts]

    assert not np.asarray(shortlists.features[:, :, columns]).any()


def test_the_ranker_is_trained_on_these_lists(stages, shortlists, tiny_bert):
    training = TrainingConfig(max_epochs=1, examples_per_epoch=32, batch_size=16)
    config = RankerConfig(
        backbone=str(tiny_bert), kind="attention", width=32, layers=1, training=training
    )

    run("ranker", config, stages, train)

    cases = list_cases(load_dataset(stages / "data")).at(shortlists.places)
    assert len(cases) == len(shortlists.places)
    found = [np.isin(of, row).any() for of, row in zip(cases.targets, shortlists.rows, strict=True)]
    assert np.mean(found[: shortlists.learnt]) == 1

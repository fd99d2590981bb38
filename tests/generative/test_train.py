"""The generative stage on a shop whose users stay with one colour."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from dataset.arrays import load_dataset
from evaluation.metrics import recall
from generative.artifact import load_generated, load_generator
from generative.config import GenerativeConfig
from generative.module import generated
from generative.train import train
from lineage.cli import run
from lineage.manifest import MismatchedArtifactError, read_manifest
from lineage.open_release import open_release, with_beside
from retrieval.retriever import Retriever
from serving.engine.engine import Engine, EngineConfig
from serving.releases.publish import NOT_AGAIN, PublishConfig, publish
from shortlist_client.api.answer import Source
from shortlist_client.api.request import Shopper, Wishes

pytestmark = pytest.mark.training
CONFIG = GenerativeConfig(
    levels=2,
    codes=16,
    width=16,
    layers=1,
    heads=2,
    dropout=0.0,
    batch_size=128,
    max_epochs=4,
    learning_rate=1e-2,
    averaging=0.5,
    valid_users=40,
)


@pytest.fixture(scope="module")
def root(own_copy, build_release, shop):
    """The shared shop's stages, with the generative one."""
    made = own_copy("artifacts", lambda root: build_release(root, shop))
    run("generative", replace(CONFIG, weight=0.5), made, train)
    return made


def test_generated_items_are_of_the_history_s_colour(root):
    cases = load_dataset(root / "data").cases("test")

    lists = generated(load_generator(root), cases, 15)

    first = np.array([history[0] // 20 for history in cases.histories])
    assert (lists // 20 == first[:, None]).mean() > 0.7
    assert recall(lists, cases.targets, 15).mean() > 0.6  # 14 of the colour are left


def test_the_stage_belongs_to_the_release_and_is_refused_with_another_trial(root):
    folder = with_beside(root)

    assert "generative" in folder
    open_release(root, folder)
    assert read_manifest(root / "generative", "generative").facts["items"] == 240
    manifest = root / "generative" / "manifest.json"
    made = manifest.read_text()
    trial = read_manifest(root / "trial" / "index", "trial/index").fingerprint
    manifest.write_text(made.replace(trial, "another"))
    with pytest.raises(MismatchedArtifactError, match="make generative DATASET"):
        open_release(root, folder)
    manifest.write_text(made)


def test_a_retriever_recalls_what_is_generated(root):
    retriever = Retriever.load(root)

    found = retriever.shortlist(np.array([3, 11], np.int32), 20, {})

    assert retriever.sources.generated.weight == 0.5
    assert found.by_generated.any()
    assert (found.generated[found.by_generated] > 0).all()


def test_an_answer_says_which_items_were_generated(root):
    engine = Engine.load(root, EngineConfig())

    answer = engine.retrieve(Shopper(history=["i3", "i11"]), Wishes(limit=200))
    searched = engine.retrieve(Shopper(search="red mug", history=["i3"]), Wishes(limit=200))

    generated = {item.item_id for item in answer.items if Source.GENERATED in item.sources}
    assert {f"i{row}" for row in range(20)} & generated
    assert all(item.sources for item in answer.items)
    assert not any(Source.GENERATED in item.sources for item in searched.items)


@pytest.mark.parametrize("last_fit", [True, False])
def test_a_release_holds_the_evaluated_decoder_with_either_fit(root, tmp_path, caplog, last_fit):
    with caplog.at_level(logging.INFO):
        release_id = publish(root, tmp_path / "releases", PublishConfig(last_fit=last_fit))

    folder = tmp_path / "releases" / release_id
    release = open_release(folder, with_beside(folder))
    made = read_manifest(root / "generative", "generative")
    assert release.last_fit == last_fit == (NOT_AGAIN in caplog.text)
    assert release.fingerprints["generative"] == made.fingerprint
    published, evaluated = load_generator(folder), load_generator(root)
    histories, nothing = [np.array([3, 11], np.int32)], [np.empty(0, np.int32)]
    (rows, _), (same, _) = (
        found(histories, nothing, [None], 20)[0] for found in (published, evaluated)
    )
    np.testing.assert_array_equal(rows, same)
    answer = Engine.load(folder, EngineConfig()).retrieve(Shopper(history=["i3", "i11"]))
    assert any(Source.GENERATED in item.sources for item in answer.items)


def test_a_weight_of_zero_turns_the_source_off(root, tmp_path):
    chosen = read_manifest(root / "generative", "generative")

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(chosen.facts, "generated weight", 0.0)
        patch.setattr("generative.artifact.read_manifest", lambda *_: chosen)
        assert load_generated(root) is None
    assert load_generated(tmp_path) is None

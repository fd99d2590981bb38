"""A classifier is published, loaded and rolled back with the release that holds it."""

import shutil

import grpc
import pytest

from lineage.manifest import CorruptArtifactError, MissingArtifactError, writing
from lineage.open_release import open_release, with_beside
from lineage.releases import live_release, read_record, release_ids
from lineage.stages import CASCADE
from serving.api.limits import Limits
from serving.engine.engine import EngineConfig
from serving.live.live_engine import LiveEngine
from serving.releases.publish import PublishConfig, publish, roll_back
from serving.releases.reloader import Reloader
from shortlist_client.client import RecommenderClient

SECONDS = 60
CONFIG = EngineConfig(ranked=6, limits=Limits(shortlist=12))


@pytest.fixture
def root(build_stages, tmp_path):
    return build_stages(tmp_path / "artifacts" / "shop", "one")


@pytest.fixture
def releases(tmp_path):
    return tmp_path / "releases" / "shop"


def write_classifier(root, content):
    """Write a fake classifier, which was made from a table."""
    made_from = {"items.parquet": "a checksum"}
    folder = root / "classifier"
    with writing(folder, stage="classifier", config={}, inputs=made_from) as (partial, _):
        (partial / "heads.safetensors").write_text(content)


def test_a_release_holds_the_classifier_that_is_there(root, releases):
    without = publish(root, releases, PublishConfig())
    write_classifier(root, "one")
    first = publish(root, releases, PublishConfig())
    again = publish(root, releases, PublishConfig())
    write_classifier(root, "two")
    second = publish(root, releases, PublishConfig())

    assert first == again
    assert len({without, first, second}) == 3
    assert "classifier" not in read_record(releases / without).stages
    contents = [
        (releases / one / "classifier" / "heads.safetensors").read_text() for one in (first, second)
    ]
    assert contents == ["one", "two"]
    folder = releases / second
    versions = open_release(folder, with_beside(folder)).versions
    assert versions["classifier"] == read_record(folder).stages["classifier"]


def test_a_damaged_classifier_is_not_published(root, releases):
    write_classifier(root, "one")
    (root / "classifier" / "heads.safetensors").write_text("other")

    with pytest.raises(CorruptArtifactError, match="make classify DATASET=path/to/shop"):
        publish(root, releases, PublishConfig())
    assert release_ids(releases) == []


def test_an_unfinished_classifier_is_left_out(root, releases):
    (root / "classifier").mkdir()

    live = publish(root, releases, PublishConfig())

    assert not (releases / live / "classifier").exists()


def test_the_stages_of_a_cascade_are_required_all_the_same(root):
    write_classifier(root, "one")
    shutil.rmtree(root / "ranker")

    assert with_beside(root) == (*CASCADE, "classifier")
    with pytest.raises(MissingArtifactError, match="ranker"):
        open_release(root, with_beside(root))


def test_a_server_follows_a_classifier_that_is_published_and_rolled_back(
    start, classified_release, release, releases
):
    def load(folder):
        return LiveEngine.load(folder, CONFIG)

    publish(release, releases, PublishConfig())
    root = live_release(releases)
    server = start(lambda: load(root))
    server.loaded.result(SECONDS)
    thread, reloader = server.server.engine, Reloader(root, load)

    with RecommenderClient(server.address, timeout=SECONDS) as client:
        publish(classified_release, releases, PublishConfig())
        reloader.look(thread)
        told = client.classify(texts=["red lamp"])
        roll_back(releases)
        reloader.look(thread)
        with pytest.raises(grpc.RpcError) as caught:
            client.classify(texts=["red lamp"])

    assert told.predictions[0].labels
    assert told.versions["classifier"]
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION

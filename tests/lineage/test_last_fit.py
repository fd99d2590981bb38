"""A release of the last fit fits together, and nothing is measured on it."""

import shutil

import pytest

from benchmarks.quality.config import BenchConfig
from benchmarks.quality.evaluate import benchmark, made_from
from benchmarks.quality.retrieval_recall import score
from lineage.manifest import CorruptArtifactError, MismatchedArtifactError, read_manifest
from lineage.open_release import open_evaluated, open_release
from lineage.releases import live_release
from lineage.stages import EVALUATED, LAST, RETRIEVAL, STAGES, served_as
from serving.releases.publish import PublishConfig, publish


@pytest.fixture
def root(build_stages, tmp_path):
    return build_stages(tmp_path / "artifacts" / "shop", "one")


@pytest.fixture
def published(root, tmp_path):
    """Folder of a published release, by whether it is of the last fit."""

    def published(*, last_fit):
        publish(root, tmp_path / "releases" / "shop", PublishConfig(last_fit=last_fit))
        return live_release(tmp_path / "releases" / "shop")

    return published


def test_a_stage_of_the_last_fit_takes_the_place_of_the_one_that_it_repeats():
    for path, stage in LAST.items():
        repeated = EVALUATED[served_as(path)]
        assert repeated.path in stage.needs
        assert (stage.format, stage.reads_from) == (repeated.format, repeated.reads_from)
        assert stage.writes == repeated.writes


def test_no_stage_of_the_pipeline_needs_the_last_fit():
    assert not {need for stage in EVALUATED.values() for need in stage.needs} & set(LAST)


def test_a_release_has_the_last_fit_in_the_places_that_a_server_reads(root, published):
    live = published(last_fit=True)

    assert not (live / "last").exists()
    for path in LAST:
        served = live / served_as(path)
        assert read_manifest(served, served_as(path)) == read_manifest(root / path, path)
        assert (served / "rows.npy").read_text() == f"{path} one"
    assert open_release(live).last_fit
    assert not open_release(root).last_fit


def test_the_figures_of_a_published_last_fit_cannot_be_measured(published, tmp_path):
    live = published(last_fit=True)

    for measure in (
        lambda: open_evaluated(live),
        lambda: open_evaluated(live, RETRIEVAL),
        lambda: benchmark(BenchConfig(), "shop", live, tmp_path / "report"),
        lambda: made_from(BenchConfig(), "shop", live),
        lambda: score(BenchConfig(), "shop", live),
    ):
        with pytest.raises(MismatchedArtifactError, match="has learnt the test split"):
            measure()


def test_a_published_evaluated_fit_can_be_measured(published):
    assert not open_evaluated(published(last_fit=False)).last_fit


def test_stages_of_the_last_fit_in_the_evaluated_places_are_refused(root):
    for path in LAST:
        shutil.rmtree(root / served_as(path))
        shutil.copytree(root / path, root / served_as(path))

    with pytest.raises(
        MismatchedArtifactError, match=r"towers holds 'last/towers', which .* `make towers DATASET"
    ):
        open_release(root)


def test_evaluated_stages_in_the_places_of_the_last_fit_are_refused(root):
    shutil.rmtree(root / "last" / "towers")
    shutil.copytree(root / "towers", root / "last" / "towers")

    with pytest.raises(CorruptArtifactError, match=r"got 'towers'; .* `make last DATASET=shop`"):
        open_release(root, tuple(STAGES))


def test_a_last_fit_of_other_evaluated_towers_is_not_published(root, build_stages, tmp_path):
    other = build_stages(tmp_path / "other" / "shop", "two")
    for path in EVALUATED:
        shutil.rmtree(root / path)
        shutil.copytree(other / path, root / path)

    with pytest.raises(MismatchedArtifactError, match=r"'last/towers' .* `make last DATASET=shop`"):
        publish(root, tmp_path / "releases" / "shop", PublishConfig())

"""Stages remember the pre-trained backbone, or the other shop's towers, that their options name."""

from dataclasses import dataclass

import pytest

from lineage.cli import run
from lineage.manifest import (
    CorruptArtifactError,
    MismatchedArtifactError,
    read_manifest,
    writing,
)
from lineage.named_inputs import named_inputs
from lineage.open_release import open_release, with_beside
from lineage.publishing import add_release
from lineage.stages import CASCADE, NOT_SERVED


@dataclass(frozen=True)
class Config:
    backbone: str


def write_backbone(folder, content):
    with writing(folder, stage="backbone", config={}, inputs={}) as (partial, _):
        (partial / "model.safetensors").write_text(content)
    return read_manifest(folder, "backbone").fingerprint


def make(config, root, folder):
    (folder / "weights.bin").write_text(config.backbone)
    return {}


def test_a_stage_is_made_again_when_the_backbone_that_it_names_changed(tmp_path, caplog):
    caplog.set_level("INFO", logger="lineage")
    root, config = tmp_path / "shop", Config(str(tmp_path / "shop" / "backbone"))
    first = write_backbone(root / "backbone", "one")

    run("classifier", config, root, make, inputs={"table": "1"})
    run("classifier", config, root, make, inputs={"table": "1"})

    assert caplog.text.count("is up to date") == 1
    assert read_manifest(root / "classifier", "classifier").inputs == {
        "table": "1",
        "backbone": first,
    }
    second = write_backbone(root / "backbone", "another")
    run("classifier", config, root, make, inputs={"table": "1"})
    assert read_manifest(root / "classifier", "classifier").inputs["backbone"] == second


def test_a_backbone_that_no_stage_made_is_no_input(tmp_path):
    (tmp_path / "plain").mkdir()

    run("classifier", Config(str(tmp_path / "plain")), tmp_path / "shop", make, inputs={})

    assert read_manifest(tmp_path / "shop" / "classifier", "classifier").inputs == {}


def with_classifier(root):
    """Stages of a release, and a classifier made from the backbone beside them."""
    write_backbone(root / "backbone", "one")
    run("classifier", Config(str(root / "backbone")), root, make, inputs={})
    return root


def test_a_release_holds_the_backbone_only_if_a_stage_was_made_from_it(build_stages, tmp_path):
    root = build_stages(tmp_path / "shop", "one")
    write_backbone(root / "backbone", "one")

    assert with_beside(root) == CASCADE
    assert set(with_beside(with_classifier(root))) == {*CASCADE, "backbone", "classifier"}
    open_release(root, with_beside(root))


def test_a_stage_of_another_backbone_is_refused_with_the_command_that_makes_it_again(
    build_stages, tmp_path
):
    root = with_classifier(build_stages(tmp_path / "shop", "one"))
    write_backbone(root / "backbone", "another")

    with pytest.raises(MismatchedArtifactError, match="make classify DATASET=path/to/shop"):
        open_release(root, (*CASCADE, "classifier"))


def test_a_release_names_the_backbone_without_its_weights(build_stages, tmp_path):
    root = with_classifier(build_stages(tmp_path / "shop", "one"))
    manifests = open_release(root, with_beside(root)).manifests
    releases = tmp_path / "releases"
    releases.mkdir()

    record = add_release(releases, root, manifests, items=7, recall=0.5, bare=NOT_SERVED)

    release = releases / record.release_id
    assert [path.name for path in (release / "backbone").iterdir()] == ["manifest.json"]
    opened = open_release(release, with_beside(release))
    assert opened.manifests["classifier"].inputs["backbone"] == opened.fingerprints["backbone"]


def test_the_backbone_within_a_stage_is_remembered_as_that_stage(tmp_path):
    root = with_classifier(tmp_path / "shop")
    within = root / "classifier" / "backbone"
    within.mkdir()
    classifier = read_manifest(root / "classifier", "classifier").fingerprint

    run("distilled", Config(str(within)), root, make, inputs={})

    assert read_manifest(root / "distilled", "distilled").inputs == {"backbone": classifier}


def test_a_stage_is_known_by_its_manifest_whatever_its_folder_is_called(tmp_path):
    write_backbone(tmp_path / "backbone", "one")
    (tmp_path / "backbone").rename(tmp_path / "kept for later")

    assert named_inputs({"backbone": str(tmp_path / "kept for later")}).keys() == {"backbone"}

    (tmp_path / "kept for later" / "manifest.json").write_text("{")
    with pytest.raises(CorruptArtifactError, match="is not a manifest"):
        named_inputs({"backbone": str(tmp_path / "kept for later")})


def test_a_release_holds_a_student_and_its_teacher_only_if_a_stage_was_made_from_it(
    build_stages, tmp_path
):
    root = build_stages(tmp_path / "shop", "one")
    write_backbone(root / "backbone", "one")
    run("distilled", Config(str(root / "backbone")), root, make, inputs={})

    assert with_beside(root) == CASCADE
    run("classifier", Config(str(root / "distilled")), root, make, inputs={})
    assert {*with_beside(root)} == {*CASCADE, "backbone", "distilled", "classifier"}
    open_release(root, with_beside(root))

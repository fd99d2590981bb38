import errno
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from lineage.locking import changing
from lineage.manifest import (
    CorruptArtifactError,
    MismatchedArtifactError,
    MissingArtifactError,
    OtherFormatError,
)
from lineage.open_release import open_release
from lineage.releases import (
    ReleaseError,
    live_id,
    live_release,
    read_record,
    release_ids,
    verify_release,
)
from lineage.stages import CASCADE, LAST, STAGES
from retrieval.features import FEATURES
from serving.releases.publish import PublishConfig, publish, roll_back

CONFIG = PublishConfig(keep=3)


@pytest.fixture
def releases(tmp_path):
    return tmp_path / "releases" / "shop"


@pytest.fixture
def root(tmp_path):
    return tmp_path / "artifacts" / "shop"


@pytest.fixture
def publish_content(root, releases, build_stages):
    """Builds stages with some content, publishes them and returns the live release's id."""

    def publish_content(content):
        return publish(build_stages(root, content), releases, CONFIG)

    return publish_content


def content_of(release):
    return (release / "towers" / "rows.npy").read_text().removeprefix("last/towers ")


def damage(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.unlink()
    path.write_bytes(content)


def test_a_published_release_is_live_and_whole(releases, root, publish_content):
    release_id = publish_content("one")

    release = open_release(live_release(releases))
    fingerprints = open_release(root, (*CASCADE, *LAST)).fingerprints
    served = {path: fingerprints[f"last/{path}"] for path in ("towers", "index")}
    evaluated = open_release(root).fingerprints
    assert release.versions == {"release": release_id, **evaluated, **served}
    assert release.last_fit
    record = verify_release(release.root)
    assert (record.items, record.recall) == (7, 0.5)


def test_only_the_manifests_of_the_trial_are_published(releases, publish_content):
    release = releases / publish_content("one")

    for stage in ("towers", "index", "shortlists"):
        assert [path.name for path in (release / "trial" / stage).iterdir()] == ["manifest.json"]


def test_publishing_the_same_stages_again_does_nothing_and_logs_it(
    releases, publish_content, caplog
):
    caplog.set_level("INFO")
    first = publish_content("one")
    before = {path: path.stat().st_mtime_ns for path in releases.rglob("*") if path.name != "LOCK"}

    assert publish_content("one") == first
    assert f"nothing to publish: {first} is live" in caplog.text
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert release_ids(releases) == [first]


def test_publishing_replaces_a_damaged_live_release_with_the_same_stages(
    releases, publish_content, caplog
):
    first = publish_content("one")
    damage(releases / first / "index" / "rows.npy")

    second = publish_content("one")

    assert second != first
    assert "index/rows.npy is changed" in caplog.text
    verify_release(live_release(releases))


def test_mixed_stages_are_refused_with_stage_and_command(
    releases, root, publish_content, build_stages, tmp_path
):
    live = publish_content("one")
    other = build_stages(tmp_path / "other", "two")
    shutil.rmtree(root / "towers")
    (other / "towers").rename(root / "towers")

    with pytest.raises(MismatchedArtifactError, match=r"'towers' .* `make towers DATASET=shop`"):
        publish(root, releases, CONFIG)
    assert live_id(releases) == live


def test_an_unfinished_stage_is_refused_and_no_folder_created(releases, root, build_stages):
    build_stages(root, "one")
    shutil.rmtree(root / "ranker")

    with pytest.raises(MissingArtifactError, match="`make ranker DATASET=shop`"):
        publish(root, releases, CONFIG)
    assert not releases.exists()


def test_rolling_back_returns_to_the_replaced_release(releases, publish_content):
    first, second = publish_content("one"), publish_content("two")

    assert roll_back(releases) == first
    assert content_of(live_release(releases)) == "one"

    publish_content("three")
    assert roll_back(releases) == first  # not to the second, which was rolled back from
    assert roll_back(releases, second) == second
    assert content_of(live_release(releases)) == "two"


def test_the_same_stages_can_go_live_again_after_a_roll_back(releases, publish_content):
    first, second = publish_content("one"), publish_content("two")
    roll_back(releases)

    third = publish_content("two")

    assert third not in {first, second}
    assert read_record(live_release(releases)).replaces == first


def test_the_first_release_cannot_be_rolled_back(releases, publish_content):
    first = publish_content("one")

    with pytest.raises(ReleaseError, match=f"{first} replaced nothing"):
        roll_back(releases)


def test_an_unknown_release_is_refused_with_the_known_ids(releases, publish_content):
    first = publish_content("one")

    for unknown in ("CURRENT", "..", "20200101T000000.000Z-00000000"):
        with pytest.raises(ReleaseError, match=f"release must be one of {first}, got"):
            roll_back(releases, unknown)
    assert live_id(releases) == first


def test_rolling_back_without_releases_creates_no_folder(releases):
    with pytest.raises(MissingArtifactError, match="`make publish DATASET=shop`"):
        roll_back(releases)
    assert not releases.exists()


@pytest.mark.parametrize("file", ["release.json", "ranker/manifest.json", "data/sub/weights.bin"])
def test_a_damaged_release_does_not_go_live(releases, publish_content, file):
    first, second = publish_content("one"), publish_content("two")
    damage(releases / first / file)

    with pytest.raises(CorruptArtifactError, match=f"{file} is changed"):
        roll_back(releases)
    assert live_id(releases) == second


def test_a_release_in_another_format_does_not_go_live(releases, publish_content, monkeypatch):
    publish_content("one")
    second = publish_content("two")
    later = replace(STAGES["towers"], format=11, reads_from=11)
    monkeypatch.setitem(STAGES, "towers", later)

    with pytest.raises(
        OtherFormatError,
        match=r"older: .*`make pipeline DATASET=shop` and `make publish DATASET=shop`",
    ):
        roll_back(releases)
    assert live_id(releases) == second


def test_stages_of_a_format_that_is_only_read_are_not_published(
    releases, publish_content, monkeypatch
):
    live = publish_content("one")
    monkeypatch.setitem(STAGES, "ranker", replace(STAGES["ranker"], format=8))
    older = publish_content("two")
    monkeypatch.undo()

    with pytest.raises(OtherFormatError, match=r"older: .*`make ranker DATASET=shop`"):
        publish(releases.parents[1] / "artifacts" / "shop", releases, CONFIG)
    assert roll_back(releases, live) == live
    assert roll_back(releases, older) == older


def test_rolling_back_to_a_named_release_repairs_a_broken_current(releases, publish_content):
    first = publish_content("one")
    (releases / "CURRENT").unlink()
    (releases / "CURRENT").write_text("?")

    for change in (roll_back, lambda folder: publish_content("two")):
        with pytest.raises(CorruptArtifactError, match=r"DATASET=shop RELEASE=id`"):
            change(releases)
    assert roll_back(releases, first) == first
    assert live_id(releases) == first


def test_only_the_newest_releases_are_kept(releases, publish_content):
    ids = [publish_content(content) for content in "abcde"]

    assert release_ids(releases) == ids[:1:-1]


def test_keeping_fewer_than_two_is_refused():
    with pytest.raises(ValueError, match="keep must be at least 2, got 1"):
        PublishConfig(keep=1)


@pytest.mark.parametrize("change", ["publish", "roll_back"])
def test_a_change_is_refused_while_another_process_changes_the_releases(
    releases, publish_content, change
):
    publish_content("one")
    live = publish_content("two")

    with (
        changing(releases),
        pytest.raises(ReleaseError, match=rf"is being changed by process {os.getpid()} on"),
    ):
        publish_content("three") if change == "publish" else roll_back(releases)
    assert live_id(releases) == live


@pytest.mark.parametrize("at", ["first file", "fifth file", "record"])
def test_a_full_disk_leaves_the_live_release(releases, publish_content, monkeypatch, at):
    live = publish_content("one")
    before = {path.name for path in releases.iterdir()}
    copied, copy, chmod = [], shutil.copyfile, type(releases).chmod

    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    def filling(source, target):
        copied.append(target)
        if len(copied) == {"first file": 1, "fifth file": 5}.get(at):
            full(target)
        copy(source, target)

    def filled(path, mode):
        if path.name == "release.json" and at == "record":
            full(path)
        chmod(path, mode)

    monkeypatch.setattr(os, "link", lambda *_: full("link"))
    monkeypatch.setattr(shutil, "copyfile", filling)
    monkeypatch.setattr(type(releases), "chmod", filled)

    with pytest.raises(ReleaseError, match=f"No space left on device: .*; live is {live}"):
        publish_content("two")

    assert {path.name for path in releases.iterdir()} == before
    assert content_of(live_release(releases)) == "one"
    verify_release(live_release(releases))


LIMITED = """
import resource, sys
from pathlib import Path
from retrieval.features import FEATURES
from serving.releases.publish import PublishConfig, publish, roll_back
releases, root, limit = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    publish(root, releases, PublishConfig()) if root.name == "shop" else roll_back(releases)
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def limited(pytestconfig, *arguments):
    """Publish or roll back in a process that may write only a few bytes per file."""
    return subprocess.run(
        [sys.executable, "-c", LIMITED, *map(str, arguments)],
        cwd=pytestconfig.rootpath,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_refused_write_leaves_the_live_release(
    releases, root, publish_content, build_stages, pytestconfig
):
    live = publish_content("one")
    build_stages(root, "two")

    done = limited(pytestconfig, releases, root, 1000)

    assert done.returncode == 1
    assert "ReleaseError" in done.stderr
    assert f"File too large; live is {live}" in done.stderr
    assert {path.name for path in releases.iterdir()} == {"CURRENT", "LOCK", live}
    verify_release(live_release(releases))


def test_rolling_back_needs_no_disk_space(releases, publish_content, pytestconfig):
    first, _ = publish_content("one"), publish_content("two")

    done = limited(pytestconfig, releases, "-", 0)

    assert done.returncode == 0, done.stderr
    assert live_id(releases) == first


def test_publishing_into_a_folder_with_other_files_is_refused(root, build_stages):
    build_stages(root, "one")

    with pytest.raises(ReleaseError, match="folder of releases, but holds 'data'"):
        publish(root, root, CONFIG)


def test_a_ranker_of_other_features_does_not_go_live(release, tmp_path, monkeypatch):
    releases = tmp_path / "releases" / "shop"
    live = publish(release, releases, CONFIG)
    monkeypatch.setattr("retrieval.features.FEATURES", FEATURES[1:])

    with pytest.raises(MismatchedArtifactError, match=r"extra: .*`make ranker DATASET=shop`$"):
        publish(release, releases, CONFIG)
    with pytest.raises(
        MismatchedArtifactError, match="make ranker DATASET=shop` and `make publish"
    ):
        roll_back(releases, live)
    assert live_id(releases) == live

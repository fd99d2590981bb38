import json

import pytest

from lineage.locking import changing
from lineage.manifest import (
    CorruptArtifactError,
    MissingArtifactError,
    OtherFormatError,
    read_manifest,
)
from lineage.publishing import add_release, go_live
from lineage.releases import (
    ReleaseError,
    live_id,
    live_release,
    read_record,
    release_folders,
    release_ids,
    verify_release,
)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "releases" / "shop"


@pytest.fixture
def live(folder, build_stages, tmp_path):
    """Folder of the live release."""
    root = build_stages(tmp_path / "artifacts" / "shop", "one")
    manifests = {stage: read_manifest(root / stage, stage) for stage in ("data", "index")}
    with changing(folder):
        record = add_release(folder, root, manifests, items=7, recall=0.5, bare={"index"})
        go_live(folder, record.release_id)
    return folder / record.release_id


def flip(path, place):
    """Change one byte of a file without changing files that are linked to it."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.unlink()
    path.write_bytes(content)


def test_the_live_release_is_found_with_its_record(folder, live):
    record = verify_release(live_release(folder))

    assert live_release(folder) == live
    assert (record.release_id, record.items, record.recall) == (live.name, 7, 0.5)
    assert record.replaces is None
    assert set(record.stages) == {"data", "index"}
    assert set(record.files) == {
        "data/manifest.json",
        "data/rows.npy",
        "data/sub/weights.bin",
        "index/manifest.json",
    }
    assert record.sizes["data"] == sum(
        path.stat().st_size for path in (live / "data").rglob("*") if path.is_file()
    )


def test_a_flipped_byte_in_any_file_is_refused_by_name_and_command(live):
    for path in sorted(path for path in live.rglob("*") if path.is_file()):
        content, mode = path.read_bytes(), path.stat().st_mode
        flip(path, len(content) // 2)
        name = rf"{path.relative_to(live)} is changed .*`make publish DATASET=shop`"

        with pytest.raises(CorruptArtifactError, match=name):
            verify_release(live)

        path.write_bytes(content)
        path.chmod(mode)
    verify_release(live)


def test_a_changed_byte_anywhere_in_the_record_is_refused(live):
    path = live / "release.json"
    content = path.read_bytes()

    for place in range(0, len(content), 7):
        flip(path, place)
        with pytest.raises(CorruptArtifactError, match=r"release\.json"):
            read_record(live)
        path.write_bytes(content)


def test_a_missing_file_is_refused(live):
    (live / "data" / "rows.npy").unlink()

    with pytest.raises(CorruptArtifactError, match=r"data/rows\.npy is missing; publish again"):
        verify_release(live)


def test_an_extra_file_is_refused(live):
    (live / "data" / "added_tokens.json").write_text("{}")

    with pytest.raises(CorruptArtifactError, match=r"added_tokens\.json is not part of this"):
        verify_release(live)


def test_the_record_of_another_release_or_format_is_refused(live):
    path = live / "release.json"
    record = json.loads(path.read_text())
    path.unlink()
    path.write_text(json.dumps({**record, "format": 99}))
    with pytest.raises(OtherFormatError, match=r"newer .* has format 99, .* reads 1; .*`make pub"):
        read_record(live)

    moved = live.rename(live.with_name("20200101T000000.000Z-00000000"))
    (moved / "release.json").write_text(json.dumps(record, indent=1) + "\n")
    with pytest.raises(CorruptArtifactError, match=r"release\.json is changed"):
        read_record(moved)


def test_a_release_without_its_record_is_refused(folder, live):
    (live / "release.json").unlink()

    with pytest.raises(CorruptArtifactError, match=r"release\.json is missing"):
        live_release(folder)


@pytest.mark.parametrize("target", ["..", "/etc", "data", "20200101T000000.000Z-00000000/.."])
def test_current_that_links_anywhere_else_than_to_a_release_is_refused(folder, live, target):
    (folder / "CURRENT").unlink()
    (folder / "CURRENT").symlink_to(target)

    with pytest.raises(CorruptArtifactError, match="`make rollback DATASET=shop RELEASE=id`"):
        live_release(folder)


def test_current_that_is_not_a_link_is_refused(folder, live):
    (folder / "CURRENT").unlink()
    (folder / "CURRENT").write_text(live.name)

    with pytest.raises(CorruptArtifactError, match="must be a link to a release beside it"):
        live_id(folder)


def test_a_folder_without_a_live_release_is_refused_with_the_command(folder):
    assert release_ids(folder) == release_folders(folder) == []
    with pytest.raises(MissingArtifactError, match="`make publish DATASET=shop`"):
        live_release(folder)


def test_a_file_instead_of_a_folder_is_refused(tmp_path):
    path = tmp_path / "shop"
    path.write_text("")

    for read in (live_release, release_ids, release_folders):
        with pytest.raises(ReleaseError, match="must be a folder of releases"):
            read(path)

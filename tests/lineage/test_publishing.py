import errno
import os
import stat
from datetime import UTC, datetime, timedelta

import pytest

from lineage import publishing
from lineage.locking import changing
from lineage.manifest import MismatchedArtifactError, read_manifest, writing
from lineage.publishing import add_release, go_live, retire
from lineage.releases import live_id, read_record, release_folders, release_ids, verify_release


@pytest.fixture
def root(build_stages, tmp_path):
    return build_stages(tmp_path / "artifacts" / "shop", "one")


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "releases" / "shop"
    with changing(folder):
        yield folder


def manifests(root):
    return {stage: read_manifest(root / stage, stage) for stage in ("data", "towers")}


def add(folder, root):
    """Add a release, make it live, and return its id."""
    record = add_release(folder, root, manifests(root), items=7, recall=0.5, bare=())
    go_live(folder, record.release_id)
    return record.release_id


def test_releases_of_one_millisecond_and_of_a_clock_set_back_keep_their_order(
    folder, root, monkeypatch
):
    class Clock(datetime):
        when = datetime(2026, 11, 29, 12, 0, 0, 999_500, UTC)

        @classmethod
        def now(cls, tz):
            return cls.when

    monkeypatch.setattr(publishing, "datetime", Clock)
    added = [add(folder, root) for _ in range(3)]
    Clock.when -= timedelta(hours=1)
    added.append(add(folder, root))

    assert release_ids(folder) == added[::-1]
    assert [release_id[9:20] for release_id in added] == [
        "120000.999Z", "120001.000Z", "120001.001Z", "120001.002Z",
    ]  # fmt: skip


def files(release):
    return {path for path in release.rglob("*") if path.is_file()}


def no_links(monkeypatch):
    def refuse(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)


def test_files_are_linked_where_the_file_system_can(folder, root):
    release = folder / add(folder, root)

    assert (release / "data" / "rows.npy").samefile(root / "data" / "rows.npy")


def test_files_are_copied_where_they_cannot_be_linked(folder, root, monkeypatch):
    no_links(monkeypatch)
    release = folder / add(folder, root)

    verify_release(release)
    assert not (release / "data" / "rows.npy").samefile(root / "data" / "rows.npy")


@pytest.mark.parametrize("linked", [True, False])
def test_every_file_of_a_release_is_read_only(folder, root, monkeypatch, linked):
    if not linked:
        no_links(monkeypatch)
    release = folder / add(folder, root)

    assert {stat.S_IMODE(path.stat().st_mode) for path in files(release)} == {0o444}


def test_building_stages_again_does_not_change_a_release(folder, root, build_stages):
    release = folder / add(folder, root)
    before = {path: path.read_bytes() for path in files(release)}

    build_stages(root, "two")

    assert {path: path.read_bytes() for path in files(release)} == before
    verify_release(release)
    assert (root / "data" / "rows.npy").read_text() == "data two"
    (root / "data" / "rows.npy").write_text("stages may be written to")


@pytest.mark.parametrize("change", ["rows.npy", "manifest.json"])
def test_a_stage_that_changes_while_it_is_published_is_refused(
    folder, root, build_stages, tmp_path, change
):
    live, checked = add(folder, root), manifests(root)
    other = build_stages(tmp_path / "other", "two")
    (other / "data" / change).replace(root / "data" / change)

    with pytest.raises(MismatchedArtifactError, match=r"'data' .* changed while it was published"):
        add_release(folder, root, checked, items=7, recall=0.5, bare=())

    assert release_ids(folder) == [live]
    assert {path.name for path in folder.iterdir()} == {"CURRENT", "LOCK", live}


def test_a_release_names_the_release_that_it_replaces(folder, root):
    first, second = add(folder, root), add(folder, root)

    assert read_record(folder / second).replaces == first
    go_live(folder, first)
    assert read_record(folder / add(folder, root)).replaces == first


def test_the_newest_releases_are_kept(folder, root):
    ids = [add(folder, root) for _ in range(5)]

    assert retire(folder, 3) == ids[1::-1]
    assert release_ids(folder) == ids[:1:-1]
    assert release_folders(folder) == [folder / release_id for release_id in ids[:1:-1]]


def test_the_live_release_and_the_one_that_it_replaced_are_always_kept(folder, root):
    ids = [add(folder, root) for _ in range(5)]
    go_live(folder, ids[1])
    retire(folder, 3)

    assert release_ids(folder) == [ids[4], ids[1], ids[0]]
    assert live_id(folder) == ids[1]


def test_only_unfinished_and_half_deleted_releases_are_deleted(folder, root):
    live = add(folder, root)
    for name in (f"{live}.partial", f"{live}.retired", "notes.partial"):
        (folder / name).mkdir()

    added = add(folder, root)

    names = {path.name for path in folder.iterdir()}
    assert names == {"CURRENT", "LOCK", live, added, "notes.partial"}


def test_an_old_release_with_a_link_in_its_place_hinders_no_publication(folder, root, tmp_path):
    oldest = add(folder, root)
    moved = (folder / oldest).rename(tmp_path / oldest)
    (folder / oldest).symlink_to(moved)
    ids = [add(folder, root) for _ in range(2)]

    assert retire(folder, 2) == [oldest]
    ids.append(add(folder, root))

    assert release_ids(folder) == ids[::-1]
    assert verify_release(moved).release_id == oldest


def test_every_file_is_synced_before_the_renames_that_publish_it(folder, root, monkeypatch):
    log, fsync, rename, replace = [], os.fsync, os.rename, os.replace

    def logged_fsync(descriptor):
        log.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    def logged(move):
        def moved(source, target):
            log.append(("rename", str(source)))
            move(source, target)

        return moved

    monkeypatch.setattr(os, "fsync", logged_fsync)
    monkeypatch.setattr(os, "rename", logged(rename))
    monkeypatch.setattr(os, "replace", logged(replace))
    release = folder / add(folder, root)

    partial = f"{release}.partial"
    finished = log.index(("rename", partial))
    swapped = log.index(("rename", f"{folder}/CURRENT.partial"))
    everything = {str(path).replace(str(release), partial) for path in release.rglob("*")}
    assert everything | {partial} == set(log[:finished])
    assert log[finished + 1 : swapped] == [str(folder)]
    assert log[swapped + 1 :] == [str(folder)]


def test_a_failed_publication_leaves_nothing_behind(folder, root, monkeypatch):
    live = add(folder, root)
    monkeypatch.setattr(publishing, "checksum", full)

    with pytest.raises(OSError, match="No space left"):
        add(folder, root)

    assert {path.name for path in folder.iterdir()} == {"CURRENT", "LOCK", live}
    assert live_id(folder) == live


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_columns_of_users_are_not_published(folder, root):
    data = root / "data"
    with writing(data, stage="data", config={}, inputs={}) as (partial, _):
        (partial / "users").mkdir()
        (partial / "users" / "ages.npy").write_text("30")
        (partial / "items.npy").write_text("1")
    towers = read_manifest(root / "towers", "towers")
    record = add_release(
        folder,
        root,
        {"data": read_manifest(data, "data"), "towers": towers},
        items=7,
        recall=0.5,
        bare=(),
    )

    assert "data/items.npy" in record.files
    assert not any("users" in name for name in record.files)
    assert not (folder / record.release_id / "data" / "users").exists()
    verify_release(folder / record.release_id)

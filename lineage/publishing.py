"""Atomic changes to a folder of releases.

An unfinished release has a temporary name that no reader opens; a single rename completes it. So
the next process can continue after a crash. `lineage.locking` excludes other processes.
"""

import os
import shutil
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lineage.locking import flush
from lineage.manifest import (
    MANIFEST,
    RECORD,
    Manifest,
    MismatchedArtifactError,
    checksum,
    read_manifest,
)
from lineage.releases import (
    CURRENT,
    ID,
    ReleaseRecord,
    fingerprint,
    live_id,
    read_record,
    release_ids,
)
from lineage.stages import served_as, stage_named

PARTIAL, RETIRED = ".partial", ".retired"
READ_ONLY = 0o444
TIME_LENGTH = len("20261125T025301.123Z")


def add_release(
    folder: Path,
    root: Path,
    manifests: Mapping[str, Manifest],
    *,
    items: int,
    recall: float,
    bare: Collection[str],
) -> ReleaseRecord:
    """Create a release from finished stages, without making it live.

    Files are hard-linked where the file system can, else copied. Building a stage again writes new
    files and does not change the release's.

    Args:
        folder: Folder of the dataset's releases; the caller holds its lock.
        root: Folder of the dataset's stages.
        manifests: The checked manifests, by stage; a stage of the last fit is published in the
            place of the one that it repeats (`served_as`).
        items: Number of items in the corpus.
        recall: Recall@100 of the index against exact search.
        bare: Stages whose manifest alone is published.

    Raises:
        MismatchedArtifactError: a stage changed after it was checked.
        OSError: the files cannot be linked, copied or written.
    """
    _sweep(folder)
    now = datetime.now(UTC)
    stages = {served_as(stage): manifest.fingerprint for stage, manifest in manifests.items()}
    release_id = f"{_later_time(folder, now)}-{fingerprint(stages)[:8]}"
    partial = folder / f"{release_id}{PARTIAL}"
    try:
        files = _fill(partial, root, manifests, bare)
        record = ReleaseRecord(
            release_id=release_id,
            when=now.isoformat(timespec="milliseconds"),
            replaces=live_id(folder),
            items=items,
            recall=recall,
            sizes={stage: _bytes(partial / stage) for stage in stages},
            stages=stages,
            files=files,
        )
        _seal(partial, record)
        partial.rename(folder / release_id)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    flush(folder)
    return record


def go_live(folder: Path, release_id: str) -> None:
    """Make a release live, by one rename; needs no space on the disk.

    Raises:
        OSError: the link cannot be replaced.
    """
    link = folder / f"{CURRENT}{PARTIAL}"
    link.unlink(missing_ok=True)
    link.symlink_to(release_id)
    link.replace(folder / CURRENT)
    flush(folder)


def retire(folder: Path, keep: int) -> list[str]:
    """Delete old releases, but never the live release nor the one that it replaced.

    Args:
        folder: Folder of the dataset's releases; the caller holds its lock.
        keep: Number of releases to keep, at least 2.

    Returns:
        Ids of the deleted releases, newest first.
    """
    live = live_id(folder)
    known = release_ids(folder)
    needed = {live, read_record(folder / live).replaces} & set(known) if live else set()
    others = [release_id for release_id in known if release_id not in needed]
    retired = others[keep - len(needed) :]
    for release_id in retired:
        (folder / release_id).rename(folder / f"{release_id}{RETIRED}")
    _sweep(folder)
    return retired


def _later_time(folder: Path, now: datetime) -> str:
    """A time for a new id, to the millisecond: now, or just after the newest release.

    So ids are unique and in the order of publication, however fast or wrong the clock is.
    """
    newest = max((release_id[:TIME_LENGTH] for release_id in release_ids(folder)), default="")
    time = _to_milliseconds(now)
    if time <= newest:
        after = datetime.strptime(newest, "%Y%m%dT%H%M%S.%fZ") + timedelta(milliseconds=1)
        time = _to_milliseconds(after)
    return time


def _to_milliseconds(time: datetime) -> str:
    return f"{time:%Y%m%dT%H%M%S}.{time.microsecond // 1000:03d}Z"


def _fill(
    partial: Path, root: Path, manifests: Mapping[str, Manifest], bare: Collection[str]
) -> dict[str, str]:
    """Link or copy every stage's files; return their checksums by path."""
    files: dict[str, str] = {}
    for stage, manifest in manifests.items():
        private = stage_named(stage).private
        named = {} if stage in bare else manifest.files
        wanted = {name: of for name, of in named.items() if not name.startswith(private)}
        place = served_as(stage)
        for name in (*wanted, MANIFEST):
            target = partial / place / name
            target.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(root / stage / name, target)
            files[f"{place}/{name}"] = checksum(target, flush=True)
        same = all(files[f"{place}/{name}"] == digest for name, digest in wanted.items())
        if not same or read_manifest(partial / place, stage) != manifest:
            raise MismatchedArtifactError(
                f"{stage!r} in {root / stage} changed while it was published; "
                f"publish again with `make publish DATASET={root.name}`"
            )
    return files


def _seal(partial: Path, record: ReleaseRecord) -> None:
    """Write the record after all other files, and sync it and every folder to the disk."""
    path = partial / RECORD
    path.write_text(record.text)
    path.chmod(READ_ONLY)
    checksum(path, flush=True)
    for folder in (partial, *partial.rglob("*")):
        if folder.is_dir():
            flush(folder)


def link_or_copy(source: Path, target: Path) -> None:
    """Hard-link a file where the file system can, else copy it; it becomes read-only."""
    try:
        os.link(source, target)
    except OSError:  # the file system cannot link; after any other error copying fails and reports
        shutil.copyfile(source, target)
    target.chmod(READ_ONLY)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _sweep(folder: Path) -> None:
    """Delete unfinished and half-deleted releases, and unfinished signatures.

    Of a release that was moved elsewhere, with a link in its place, the link alone is deleted.
    """
    for path in folder.glob(f"*.sig{PARTIAL}"):
        path.unlink()
    for path in folder.iterdir():
        if path.suffix in {PARTIAL, RETIRED} and ID.fullmatch(path.stem):
            path.unlink() if path.is_symlink() else shutil.rmtree(path)

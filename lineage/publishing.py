"""Changes to a folder of releases, each whole or not at all.

Every step leaves a folder that the next process can go on from: what is half made has a name that
nobody reads, and one rename makes it what it shall be. `lineage.locking` keeps others away.
"""

import os
import shutil
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
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

PARTIAL, RETIRED = ".partial", ".retired"
READ_ONLY = 0o444


def add_release(
    folder: Path,
    root: Path,
    manifests: Mapping[str, Manifest],
    *,
    items: int,
    recall: float,
    bare: Collection[str],
) -> ReleaseRecord:
    """Put finished stages into a release's folder of their own, which is not live yet.

    Files are linked where the file system can, else copied. A stage that is built again takes new
    files and leaves these alone.

    Args:
        folder: Folder of the dataset's releases; locked.
        root: Folder of the dataset's stages.
        manifests: Of the stages, as they were checked.
        items: Items of the corpus.
        recall: Recall@100 of the index against exact search.
        bare: Stages of which the manifest alone is needed.

    Raises:
        MismatchedArtifactError: a stage is no longer the one that was checked.
        OSError: the disk is full or refuses.
    """
    _sweep(folder)
    now = datetime.now(UTC)
    stages = {stage: manifest.fingerprint for stage, manifest in manifests.items()}
    release_id = f"{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03d}Z-{fingerprint(stages)[:8]}"
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
    """Make a release the live one, by one rename; needs no space on the disk.

    Raises:
        OSError: the disk refuses.
    """
    link = folder / f"{CURRENT}{PARTIAL}"
    link.unlink(missing_ok=True)
    link.symlink_to(release_id)
    link.replace(folder / CURRENT)
    flush(folder)


def retire(folder: Path, keep: int) -> list[str]:
    """Delete all but the newest releases; never the live one nor the one that it replaced.

    Args:
        folder: Folder of the dataset's releases; locked.
        keep: Releases to keep, at least 2.

    Returns:
        What was deleted.
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


def _fill(
    partial: Path, root: Path, manifests: Mapping[str, Manifest], bare: Collection[str]
) -> dict[str, str]:
    """Take every stage's files; their checksums, by name."""
    files: dict[str, str] = {}
    for stage, manifest in manifests.items():
        wanted = {} if stage in bare else dict(manifest.files)
        for name in (*wanted, MANIFEST):
            taken = partial / stage / name
            taken.parent.mkdir(parents=True, exist_ok=True)
            _take(root / stage / name, taken)
            files[f"{stage}/{name}"] = checksum(taken, flush=True)
        same = all(files[f"{stage}/{name}"] == digest for name, digest in wanted.items())
        if not same or read_manifest(partial / stage, stage) != manifest:
            raise MismatchedArtifactError(
                f"{stage!r} in {root / stage} changed while it was published; "
                f"publish again with `make publish DATASET={root.name}`"
            )
    return files


def _seal(partial: Path, record: ReleaseRecord) -> None:
    """Write the record, last of all, and force it and every folder to the disk."""
    path = partial / RECORD
    path.write_text(record.text)
    path.chmod(READ_ONLY)
    checksum(path, flush=True)
    for folder in (partial, *partial.rglob("*")):
        if folder.is_dir():
            flush(folder)


def _take(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links; else copying says what is wrong
        shutil.copyfile(source, target)
    target.chmod(READ_ONLY)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _sweep(folder: Path) -> None:
    """Delete what was half made or half deleted."""
    for path in folder.iterdir():
        if path.suffix in {PARTIAL, RETIRED} and ID.fullmatch(path.stem):
            shutil.rmtree(path)

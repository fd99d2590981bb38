"""Published releases: one immutable folder each, and `CURRENT`, a link to the live release.

    releases/<dataset>/
        20261125T025301.123Z-1f0c8a3e/    a folder per stage, `release.json`, perhaps signatures
        CURRENT -> 20261125T025301.123Z-1f0c8a3e
        LOCK                              names the process that changes this folder

Errors:
    ArtifactError
        MissingArtifactError: no release is live.
        CorruptArtifactError: a file of a release is gone, changed or not part of the release.
        OtherFormatError: an older or a newer version published the release.
        SignatureError: no trusted key signed the release (`lineage.signing`).
        ReleaseError: the folder of releases cannot be read, or cannot be changed now.
            ReleasesBusyError: another process is changing the folder.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from lineage.manifest import (
    RECORD,
    ArtifactError,
    CorruptArtifactError,
    MissingArtifactError,
    OtherFormatError,
    checksum,
)
from lineage.signing import SIGNATURE, TrustedKeys

FORMAT = 1
"""Format version of `release.json`."""
CURRENT, SEAL = "CURRENT", "seal"
CHANGED = "changed since it was published"
ID = re.compile(r"[0-9]{8}T[0-9]{6}\.[0-9]{3}Z-[0-9a-f]{8}")


class ReleaseError(ArtifactError):
    """The folder of releases cannot be read, or cannot be changed now."""


class ReleasesBusyError(ReleaseError):
    """Another process is changing the folder of releases."""


@dataclass(frozen=True, kw_only=True)
class ReleaseRecord:
    """Contents of `release.json`."""

    release_id: str
    """Time of publication (UTC) and the start of the fingerprint; also the folder's name."""
    when: str
    """Time of publication; ISO 8601, UTC."""
    replaces: str | None
    """Id of the release that was live before, which a rollback returns to; None for the first."""
    items: int
    """Number of items in the corpus."""
    recall: float
    """Recall@100 of the index against exact search."""
    sizes: Mapping[str, int]
    """Size of each stage, bytes."""
    stages: Mapping[str, str]
    """Fingerprint of each stage."""
    files: Mapping[str, str]
    """SHA-256 of every other file, by its path relative to the folder."""
    format: int = FORMAT
    """Format version of the record."""

    @property
    def text(self) -> str:
        """Canonical text of the file, with a checksum of the record inside."""
        content = asdict(self)
        seal = sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return json.dumps({**content, SEAL: seal}, indent=1, sort_keys=True) + "\n"


def fingerprint(stages: Mapping[str, str]) -> str:
    """Hash over the stages' fingerprints, hexadecimal."""
    return sha256(json.dumps(stages, sort_keys=True).encode()).hexdigest()


def live_release(folder: Path) -> Path:
    """Folder of the live release, with `CURRENT` resolved once.

    A reader of this folder never mixes two releases, even if `CURRENT` changes meanwhile.

    Raises:
        MissingArtifactError: no release is live.
        CorruptArtifactError: `CURRENT` does not link to a whole release.
    """
    release_id = live_id(folder)
    if release_id is None:
        raise MissingArtifactError(
            f"{folder} holds no live release; publish one with `make publish DATASET={folder.name}`"
        )
    read_record(folder / release_id)
    return folder / release_id


def live_id(folder: Path) -> str | None:
    """Id of the live release; None where no release is live.

    Raises:
        CorruptArtifactError: `CURRENT` is not a link to a release beside it.
        ReleaseError: the folder cannot be read.
    """
    try:
        found = os.readlink(folder / CURRENT)
    except FileNotFoundError:
        return None
    except OSError as error:
        if (folder / CURRENT).exists():
            found = "something else"
        else:
            raise ReleaseError(f"{folder} must be a folder of releases: {error}") from error
    if not ID.fullmatch(found):
        raise CorruptArtifactError(
            f"{folder / CURRENT} must be a link to a release beside it, got {found}; "
            f"choose one with `make rollback DATASET={folder.name} RELEASE=id`"
        )
    return found


def release_ids(folder: Path) -> list[str]:
    """Ids of all releases in the folder, newest first; none where there is no folder.

    Raises:
        ReleaseError: the folder cannot be read.
    """
    try:
        return sorted((p.name for p in folder.iterdir() if ID.fullmatch(p.name)), reverse=True)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ReleaseError(f"{folder} must be a folder of releases: {error}") from error


def release_folders(folder: Path) -> list[Path]:
    """Folders of all releases in the folder, newest first; none where there is no folder.

    Raises:
        ReleaseError: the folder cannot be read.
    """
    return [folder / release_id for release_id in release_ids(folder)]


def read_record(release: Path, trusted: TrustedKeys | None = None) -> ReleaseRecord:
    """Read `release.json` of a release's folder.

    Args:
        release: Folder of the release.
        trusted: Keys of which one must have signed the record; None demands no signature.

    Raises:
        SignatureError: no trusted key signed exactly this record.
        CorruptArtifactError: the file is gone, changed, or of another release.
        OtherFormatError: the record has a format that this version does not read.
    """
    try:
        written = (release / RECORD).read_bytes()
        if trusted is not None:
            trusted.require(release, written)
        text = written.decode()
        content = json.loads(text)
        if int(content["format"]) != FORMAT:
            raise _of_another_format(release, int(content["format"]))
        content.pop(SEAL)
        record = ReleaseRecord(**content)
    except OSError as error:
        raise _corrupt(release, RECORD, _state(error)) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _corrupt(release, RECORD, CHANGED) from error
    if record.text != text or record.release_id != release.name:
        raise _corrupt(release, RECORD, CHANGED)
    return record


def verify_release(release: Path, trusted: TrustedKeys | None = None) -> ReleaseRecord:
    """Compare every file of a release with its checksum.

    Args:
        release: Folder of the release.
        trusted: Keys of which one must have signed the record; None demands no signature.

    Raises:
        SignatureError: no trusted key signed the record.
        CorruptArtifactError: a file is gone, changed or not part of the release; the message names
            the file and the commands that help.
    """
    record = read_record(release, trusted)
    if unknown := _names(release) - set(record.files) - {RECORD}:
        raise _corrupt(release, min(unknown), "not part of this release")
    for name, expected in record.files.items():
        try:
            whole = checksum(release / name) == expected
        except OSError as error:
            raise _corrupt(release, name, _state(error)) from error
        if not whole:
            raise _corrupt(release, name, CHANGED)
    return record


def _names(release: Path) -> set[str]:
    """Relative paths of all files and links of a release but its signatures."""
    paths = (path for path in release.rglob("*") if path.is_symlink() or not path.is_dir())
    names = {str(path.relative_to(release)) for path in paths}
    return {name for name in names if not SIGNATURE.fullmatch(name)}


def _state(error: OSError) -> str:
    return "missing" if isinstance(error, FileNotFoundError) else f"unreadable ({error.strerror})"


def _of_another_format(release: Path, found: int) -> OtherFormatError:
    age = "older" if found < FORMAT else "newer than this version, use a newer one"
    return OtherFormatError(
        f"{release} is {age}: its record has format {found}, and this version reads {FORMAT}; "
        f"publish the stages again with `make publish DATASET={release.parent.name}`"
    )


def _corrupt(release: Path, name: str, state: str) -> CorruptArtifactError:
    dataset = release.parent.name
    return CorruptArtifactError(
        f"{release / name} is {state}; publish again with `make publish DATASET={dataset}`, "
        f"or serve another release with `make rollback DATASET={dataset} RELEASE=id`"
    )

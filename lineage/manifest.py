"""Manifests: a stage's files, its inputs and its configuration.

A stage folder is complete exactly when it holds `manifest.json`, which is written last. The
fingerprint of a stage is a hash over its configuration, its inputs' fingerprints and its files'
checksums. Two stages fit if the manifest of one names the other's fingerprint.

Errors:
    ArtifactError: the folder cannot be used.
        MissingArtifactError: the folder holds no finished stage.
        CorruptArtifactError: a file is gone or its bytes changed.
        OtherFormatError: an older or a newer version wrote the folder.
        MismatchedArtifactError: the stage was made from inputs that have changed since.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePath
from typing import Any

from lineage.stages import CLASSIFIER, DATA, FORMAT, LAST, STAGES, stage_named

MANIFEST = "manifest.json"
RECORD = "release.json"
"""Record of a published release, in the folder that holds its stages."""
CHUNK = 1 << 20


class ArtifactError(Exception):
    """The folder cannot be used as the stage it should hold."""


class MissingArtifactError(ArtifactError):
    """The folder holds no finished stage."""


class CorruptArtifactError(ArtifactError):
    """A file of the stage is gone or its bytes changed."""


class OtherFormatError(ArtifactError):
    """An older or a newer version wrote the stage or the release; nothing is damaged."""


class MismatchedArtifactError(ArtifactError):
    """The stage was made from inputs that have changed since."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Files, inputs and configuration of one finished stage."""

    stage: str
    """Last part of the stage's path, `towers` for `trial/towers`; the path of a last fit."""
    config: Mapping[str, Any]
    """The stage's configuration, as plain JSON values."""
    inputs: Mapping[str, str]
    """Fingerprints of the input stages, by path."""
    files: Mapping[str, str]
    """SHA-256 of every file, by its path relative to the folder."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Counts, dimensions and metrics, readable without loading the stage."""
    seconds: float = 0.0
    """Wall time of the stage, s."""
    format: int = FORMAT
    """Format version of the stage."""

    @property
    def of_last_fit(self) -> bool:
        """Whether the stage has learnt from the test split."""
        return self.stage in LAST

    @property
    def fingerprint(self) -> str:
        """Content hash over configuration, inputs and files; excludes facts and times."""
        content = {
            "stage": self.stage,
            "config": self.config,
            "inputs": self.inputs,
            "files": self.files,
            "format": self.format,
        }
        return hashlib.sha256(_canonical(content)).hexdigest()[:16]


def read_manifest(folder: Path, stage: str) -> Manifest:
    """Read the manifest of a finished stage.

    Args:
        folder: Folder of the stage.
        stage: Name of the stage, or its path below the dataset's folder (`trial/towers`).

    Raises:
        MissingArtifactError: the folder holds no finished stage; the message names the command
            that makes it.
        CorruptArtifactError: the manifest is unreadable or of another stage.
        OtherFormatError: the stage has a format that this version does not read.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise MissingArtifactError(
            f"{folder} holds no finished {stage!r} stage; make it with `{command(folder, stage)}`"
        )
    try:
        content = json.loads(path.read_text())
        _require_format(folder, stage, int(content["format"]))
        manifest = Manifest(**content)
    except (ValueError, TypeError, KeyError) as error:
        raise CorruptArtifactError(f"{path} is not a manifest: {error}") from error
    name = PurePath(stage).name
    if PurePath(manifest.stage).name != name or (stage in LAST and not manifest.of_last_fit):
        raise CorruptArtifactError(
            f"{path} must be of stage {name!r}, got {manifest.stage!r}; "
            f"make it again with `{command(folder, stage)}`"
        )
    return manifest


def require_newest_format(folder: Path, manifest: Manifest, stage: str) -> None:
    """Check that a stage has all files that this version writes, not only those that it reads.

    Raises:
        OtherFormatError: the stage is older; the message names the command that makes it again.
    """
    newest = stage_named(stage).format
    if manifest.format != newest:
        raise OtherFormatError(
            f"{folder} is older: it has format {manifest.format}, and this version writes "
            f"{newest}; rebuild with `{command(folder, stage)}`"
        )


def verify_files(folder: Path, manifest: Manifest) -> None:
    """Compare every file of a stage with its checksum.

    Raises:
        CorruptArtifactError: a file is gone or differs; the message names the file and the command
            that makes it again.
    """
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file() or checksum(path) != expected:
            state = "changed" if path.is_file() else "missing"
            raise CorruptArtifactError(
                f"{path} is {state} since it was written; "
                f"make it again with `{command(folder, manifest.stage)}`"
            )


def require_inputs(folder: Path, manifest: Manifest, inputs: Mapping[str, Manifest]) -> None:
    """Check that a stage was made from exactly these inputs.

    Raises:
        MismatchedArtifactError: an input differs; the message names it and the command that makes
            the stage again.
    """
    for stage, other in inputs.items():
        if manifest.inputs.get(stage) != other.fingerprint:
            raise MismatchedArtifactError(
                f"{manifest.stage!r} in {folder} was made from {stage!r} "
                f"{manifest.inputs.get(stage)}, but {stage!r} is now {other.fingerprint}; "
                f"make it again with `{command(folder, manifest.stage)}`"
            )


def is_up_to_date(
    folder: Path, *, stage: str, config: Mapping[str, Any], inputs: Mapping[str, str]
) -> bool:
    """Whether the folder holds an undamaged stage with this configuration and these inputs.

    A stage of an older format is not up to date, even if it can be read.
    """
    try:
        manifest = read_manifest(folder, stage)
        verify_files(folder, manifest)
    except ArtifactError:
        return False
    same = _canonical(manifest.config) == _canonical(config) and manifest.inputs == inputs
    return same and manifest.format == stage_named(stage).format


@contextmanager
def writing(
    folder: Path, *, stage: str, config: Mapping[str, Any], inputs: Mapping[str, str]
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Write a stage into a temporary folder, and rename it to the stage's folder on success.

    A process killed at any moment leaves the old stage or none, never a mixture.

    Args:
        folder: Folder of the finished stage.
        stage: Name of the stage, or its path below the dataset's folder.
        config: The stage's configuration, as plain JSON values.
        inputs: Fingerprints of the input stages.

    Yields:
        The temporary folder, and a dictionary that becomes the manifest's facts.
    """
    started = time.monotonic()
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    facts: dict[str, Any] = {}
    yield partial, facts
    names = sorted(str(p.relative_to(partial)) for p in partial.rglob("*") if p.is_file())
    manifest = Manifest(
        stage=stage if stage in LAST else PurePath(stage).name,
        config=dict(config),
        inputs=dict(inputs),
        files={name: checksum(partial / name, flush=True) for name in names},
        facts=facts,
        seconds=round(time.monotonic() - started, 1),
        format=stage_named(stage).format,
    )
    with (partial / MANIFEST).open("w") as file:
        json.dump(asdict(manifest), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    _replace(partial, folder)


def checksum(path: Path, *, flush: bool = False) -> str:
    """SHA-256 of a file, hexadecimal; with `flush`, the file is synced to the disk first."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        if flush:
            os.fsync(file.fileno())
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def command(folder: Path, stage: str) -> str:
    """The `make` command that makes a folder's stage, or publishes the release that holds it."""
    root, path = folder.parent, PurePath(stage).name
    if f"{root.name}/{path}" in STAGES:
        root, path = root.parent, f"{root.name}/{path}"
    if (root / RECORD).is_file():
        return f"make publish DATASET={root.parent.name}"
    dataset = root.name
    if path == DATA and dataset != "ml-100k":
        dataset = f"path/to/{dataset}"
    if path == CLASSIFIER:
        dataset = f"path/to/{dataset} TARGET=column"
    return f"make {stage_named(path).target} DATASET={dataset}"


def _require_format(folder: Path, stage: str, found: int) -> None:
    """Check that this version reads a format version.

    Raises:
        OtherFormatError: it does not; the message says which version is needed or how to rebuild.
    """
    made = stage_named(stage)
    if made.reads_from <= found <= made.format:
        return
    reads = " to ".join(map(str, sorted({made.reads_from, made.format})))
    rebuild = f"`{command(folder, stage)}`"
    if rebuild.startswith("`make publish"):  # the release's stages are as old as it is
        rebuild = f"{rebuild.replace('publish', 'pipeline', 1)} and {rebuild}"
    age = "older" if found < made.format else "newer than this version, use a newer one"
    raise OtherFormatError(
        f"{folder} is {age}: it has format {found}, and this version reads {reads}; "
        f"rebuild with {rebuild}"
    )


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, default=str).encode()


def _replace(partial: Path, folder: Path) -> None:
    retired = folder.with_name(f"{folder.name}.retired")
    shutil.rmtree(retired, ignore_errors=True)
    if folder.exists():
        folder.rename(retired)
    partial.rename(folder)
    shutil.rmtree(retired, ignore_errors=True)

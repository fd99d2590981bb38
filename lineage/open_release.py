"""Opens a release: checks that its stages are complete and match their inputs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lineage.manifest import (
    RECORD,
    CorruptArtifactError,
    Manifest,
    read_manifest,
    require_inputs,
    verify_files,
)
from lineage.releases import verify_release
from lineage.signing import SignatureError, TrustedKeys
from lineage.stages import CASCADE, NOT_SERVED, STAGES


@dataclass(frozen=True, kw_only=True)
class Release:
    """Finished stages below one folder that were checked to belong together."""

    root: Path
    manifests: Mapping[str, Manifest]
    release_id: str | None = None
    """Id of a published release; None for the stages' own folder."""

    @property
    def fingerprints(self) -> dict[str, str]:
        """Fingerprint of every stage."""
        return {stage: manifest.fingerprint for stage, manifest in self.manifests.items()}

    @property
    def versions(self) -> dict[str, str]:
        """Fingerprint of every stage, and the id under `release` if it was published."""
        published = {} if self.release_id is None else {"release": self.release_id}
        return published | self.fingerprints


@contextmanager
def held_while_loading(root: Path) -> Iterator[None]:
    """Check after the block that no file of a published release was exchanged meanwhile.

    So what was loaded is what was verified. Does nothing for stages that were not published.

    Raises:
        CorruptArtifactError: a file was replaced, written or deleted; the message names it.
    """
    published = (root / RECORD).is_file()
    before = _states(root) if published else {}
    yield
    after = _states(root) if published else {}
    changed = sorted(name for name, state in before.items() if after.get(name) != state)
    if changed:
        raise CorruptArtifactError(f"{root / changed[0]} changed while the release was loaded")


def _states(root: Path) -> dict[str, tuple[int, int, int]]:
    """File number, size and time of the last change of every file below a folder."""
    found = {}
    for path in root.rglob("*"):
        if path.is_file():
            stat = path.stat()
            found[str(path.relative_to(root))] = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
    return found


def open_release(
    root: Path, stages: tuple[str, ...] = CASCADE, *, trusted: TrustedKeys | None = None
) -> Release:
    """Check that the stages are whole and made from one another.

    Args:
        root: Folder of a dataset's stages, or of a published release.
        stages: Paths of the stages to check.
        trusted: Keys of which one must have signed the release; None demands no signature.

    Raises:
        SignatureError: no trusted key signed the release, or nothing was published.
        OtherFormatError: a stage has a format that this version does not read.
        MissingArtifactError: a stage is missing or unfinished.
        CorruptArtifactError: a file of a stage changed.
        MismatchedArtifactError: an input of a stage has changed since the stage was made.
            Each message names the stage or file and the command that makes it again.
    """
    published = (root / RECORD).is_file()
    if trusted is not None and not published:
        raise SignatureError(f"{root} must be a signed release, got stages without {RECORD}")
    record = verify_release(root, trusted) if published else None
    manifests = {stage: read_manifest(root / stage, stage) for stage in stages}
    for stage, manifest in manifests.items():
        inputs = {name: manifests[name] for name in STAGES[stage].needs}
        require_inputs(root / stage, manifest, inputs)
        if record is None and stage not in NOT_SERVED:
            verify_files(root / stage, manifest)
    return Release(root=root, manifests=manifests, release_id=record.release_id if record else None)

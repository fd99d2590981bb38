"""Opens a release: checks that its stages are complete and match their inputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lineage.manifest import RECORD, Manifest, read_manifest, require_inputs, verify_files
from lineage.releases import verify_release
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


def open_release(root: Path, stages: tuple[str, ...] = CASCADE) -> Release:
    """Check that the stages are whole and made from one another.

    Args:
        root: Folder of a dataset's stages, or of a published release.
        stages: Paths of the stages to check.

    Raises:
        MissingArtifactError: a stage is missing or unfinished.
        CorruptArtifactError: a file of a stage changed.
        MismatchedArtifactError: an input of a stage has changed since the stage was made.
            Each message names the stage or file and the command that makes it again.
    """
    record = verify_release(root) if (root / RECORD).is_file() else None
    manifests = {stage: read_manifest(root / stage, stage) for stage in stages}
    for stage, manifest in manifests.items():
        inputs = {name: manifests[name] for name in STAGES[stage].needs}
        require_inputs(root / stage, manifest, inputs)
        if record is None and stage not in NOT_SERVED:
            verify_files(root / stage, manifest)
    return Release(root=root, manifests=manifests, release_id=record.release_id if record else None)

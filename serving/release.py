"""A release: data, towers, index and ranker that belong together, or a refusal that says why."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lineage.manifest import Manifest, read_manifest, require_inputs, verify_files

INPUTS: Mapping[str, tuple[str, ...]] = {
    "data": (),
    "towers": ("data",),
    "index": ("data", "towers"),
    "shortlists": ("data", "towers", "index"),
    "ranker": ("data", "shortlists"),
}
RETRIEVAL = ("data", "towers", "index")
CASCADE = tuple(INPUTS)


@dataclass(frozen=True, kw_only=True)
class Release:
    """Finished stages below one folder, checked to fit."""

    root: Path
    manifests: Mapping[str, Manifest]

    @property
    def versions(self) -> dict[str, str]:
        """Fingerprint of every stage."""
        return {stage: manifest.fingerprint for stage, manifest in self.manifests.items()}


def open_release(root: Path, stages: tuple[str, ...] = CASCADE) -> Release:
    """Check that the stages are whole and made from one another.

    Args:
        root: Folder of a dataset's stages.
        stages: Which of them are needed.

    Raises:
        MissingArtifactError: a stage was never finished.
        CorruptArtifactError: a file of a stage changed.
        MismatchedArtifactError: a stage was made from another one than that beside it.
            Each names the part and the command that mends it.
    """
    manifests = {stage: read_manifest(root / stage, stage) for stage in stages}
    for stage, manifest in manifests.items():
        inputs = {name: manifests[name] for name in INPUTS[stage]}
        require_inputs(root / stage, manifest, inputs)
        verify_files(root / stage, manifest)
    return Release(root=root, manifests=manifests)

"""Opens a release: checks that its stages are complete and match their inputs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lineage.manifest import (
    MANIFEST,
    RECORD,
    CorruptArtifactError,
    Manifest,
    MismatchedArtifactError,
    command,
    read_manifest,
    require_inputs,
    verify_files,
)
from lineage.named_inputs import require_named_inputs
from lineage.releases import verify_release
from lineage.signing import SignatureError, TrustedKeys
from lineage.stages import (
    BACKBONE,
    BESIDE,
    CASCADE,
    DISTILLED,
    INDEX,
    LAST,
    NOT_SERVED,
    STAGES,
    TOWERS,
    served_as,
    stage_named,
)


@dataclass(frozen=True, kw_only=True)
class Release:
    """Finished stages below one folder that were checked to belong together."""

    root: Path
    manifests: Mapping[str, Manifest]
    release_id: str | None = None
    """Id of a published release; None for the stages' own folder."""

    @property
    def last_fit(self) -> bool:
        """Whether what is served has learnt from the test split; its figures are of another fit."""
        return self.manifests[TOWERS].of_last_fit

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


def with_beside(root: Path, stages: tuple[str, ...] = CASCADE) -> tuple[str, ...]:
    """Some stages, and the optional ones that are there.

    A pre-trained or a distilled backbone is one of them only if a stage was made from it.

    Args:
        root: Folder of a dataset's stages, or of a published release.
        stages: Paths of the stages that must be there.
    """
    there = [stage for stage in BESIDE if (root / stage / MANIFEST).is_file()]
    for backbone in (DISTILLED, BACKBONE):  # the former may be made from the latter
        if backbone in there and not _is_used(root, backbone, (*stages, *there)):
            there.remove(backbone)
    return *stages, *there


def _is_used(root: Path, backbone: str, stages: tuple[str, ...]) -> bool:
    """Whether any finished stage was made from the dataset's own backbone."""
    fingerprint = read_manifest(root / backbone, backbone).fingerprint
    made = [stage for stage in stages if (root / stage / MANIFEST).is_file()]
    return any(fingerprint in read_manifest(root / stage, stage).inputs.values() for stage in made)


def open_release(
    root: Path, stages: tuple[str, ...] = CASCADE, *, trusted: TrustedKeys | None = None
) -> Release:
    """Check that the stages are whole and made from one another.

    A published release may hold the last fit in the places of towers and index. Stages that were
    not published may not, so whatever reads them finds the fit that is evaluated.

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
        if manifest.of_last_fit and stage not in LAST and not published:
            raise MismatchedArtifactError(
                f"{root / stage} holds {manifest.stage!r}, which has learnt the test split; "
                f"make it again with `{command(root / stage, stage)}`"
            )
        require_inputs(root / stage, manifest, _inputs(stage, manifests, published=published))
        if not published:
            require_named_inputs(root / stage, stage, manifest)
        if record is None and stage not in NOT_SERVED:
            verify_files(root / stage, manifest)
    return Release(root=root, manifests=manifests, release_id=record.release_id if record else None)


def open_evaluated(root: Path, stages: tuple[str, ...] = CASCADE) -> Release:
    """`open_release` for measurements on the test split.

    Raises:
        MismatchedArtifactError: towers or index have learnt from the test split, or `open_release`
            raises it.
        ArtifactError: as `open_release` does.
    """
    release = open_release(root, stages)
    if release.last_fit:
        raise MismatchedArtifactError(
            f"{root} holds the last fit, which has learnt the test split, so nothing can be "
            "measured on it; measure the stages that it was published from, with --artifacts"
        )
    return release


def _inputs(
    stage: str, manifests: Mapping[str, Manifest], *, published: bool
) -> dict[str, Manifest]:
    """Manifests of a stage's inputs, by path; a release has none of the fit that it replaces."""
    manifest = manifests[stage]
    if not (published and manifest.of_last_fit):
        return {name: manifests[name] for name in stage_named(stage).needs}
    return {
        name: manifests[served_as(name)]
        for name in STAGES[manifest.stage].needs
        if name not in (TOWERS, INDEX)
    }

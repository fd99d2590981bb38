"""Makes a release live: publishes the finished stages, or rolls back to an older release."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from index.open_store import require_store
from index.stage import RECALL
from lineage.journal import JournalHeldError
from lineage.locking import changing
from lineage.manifest import (
    ArtifactError,
    CorruptArtifactError,
    Manifest,
    MissingArtifactError,
    OtherFormatError,
    require_newest_format,
)
from lineage.open_release import Release, open_release, with_beside
from lineage.publishing import add_release, go_live, retire
from lineage.releases import (
    ReleaseError,
    live_id,
    live_release,
    read_record,
    release_folders,
    release_ids,
    verify_release,
)
from lineage.signing import TrustedKeys, sign
from lineage.stages import (
    CASCADE,
    FIGURES,
    GENERATIVE,
    INDEX,
    LAST,
    LAST_INDEX,
    NOT_SERVED,
    RANKER,
    SHORTLISTS,
    served_as,
)
from retrieval.features import require_features
from serving.catalogue.change_log import CHANGES
from serving.live.compaction import compact
from serving.replication.journal_log import JournalLog

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

logger = logging.getLogger(__name__)
NOT_AGAIN = "the last fit repeats no decoder: generated items have not learnt the test split"


@dataclass(frozen=True, kw_only=True)
class PublishConfig:
    """What is published, and how many older releases are retained."""

    keep: int = 5
    """Newest releases to keep; the live one and the one that it replaced are always kept."""
    last_fit: bool = True
    """Publish towers and index that have learnt everything; false publishes the evaluated ones,
    which have not seen the test split."""

    def __post_init__(self) -> None:
        if self.keep < 2:
            raise ValueError(f"keep must be at least 2, got {self.keep}")


def publish(
    root: Path,
    releases: Path,
    config: PublishConfig,
    *,
    key: "Ed25519PrivateKey | None" = None,
) -> str:
    """Make the finished stages the live release, unless the live release already has them.

    Classifier, FAQ and generative stage are published with them if they are there. The last fit
    repeats none of these.

    If the process is killed at any moment, either the old or the new release is live and whole.

    Args:
        root: Folder of a dataset's stages.
        releases: Folder of its releases.
        config: Number of releases to keep, and whether the last fit is published.
        key: Signs the release before it goes live, or the live one if it already has these stages;
            None signs nothing.

    Returns:
        Id of the live release.

    Raises:
        ArtifactError: a stage is missing, corrupt or does not match the others; or another process
            changes the releases or the disk refuses. The live release stays live.
    """
    built = _published(_servable(root, last_fit=config.last_fit))
    for stage, manifest in built.items():
        require_newest_format(root / stage, manifest, stage)
    fingerprints = {served_as(stage): manifest.fingerprint for stage, manifest in built.items()}
    (index,) = (manifest.facts for stage, manifest in built.items() if served_as(stage) == INDEX)
    with changing(releases):
        live = live_id(releases)
        if live is not None and _holds(releases / live, fingerprints):
            logger.info("nothing to publish: %s is live and has these stages", live)
            if key is not None:
                _sign(releases / live, key)
            return live
        record = add_release(
            releases,
            root,
            built,
            items=index["items"],
            recall=index[RECALL],
            bare=NOT_SERVED,
        )
        if key is not None:
            _sign(releases / record.release_id, key)
        go_live(releases, record.release_id)
        logger.info("%s is live; it replaces %s", record.release_id, live or "nothing")
        if config.last_fit:
            logger.info(FIGURES)
            if GENERATIVE in built:
                logger.info(NOT_AGAIN)
        for release_id in retire(releases, config.keep):
            logger.info("deleted %s", release_id)
        _compact_changes(releases)
    return record.release_id


def sign_release(releases: Path, release_id: str | None, key: "Ed25519PrivateKey") -> None:
    """Sign a release that is whole, such as with a newer key.

    Args:
        releases: Folder of a dataset's releases.
        release_id: Id of the release; None for the live one.
        key: The key that signs.

    Raises:
        ArtifactError: the release is missing or damaged, or another process changes the releases.
    """
    with changing(releases):
        chosen = release_id or live_release(releases).name
        _require_known(releases, chosen)
        verify_release(releases / chosen)
        _sign(releases / chosen, key)


def roll_back(
    releases: Path, release_id: str | None = None, *, trusted: TrustedKeys | None = None
) -> str:
    """Make another release live: the named one, or the one that the live release replaced.

    Args:
        releases: Folder of a dataset's releases.
        release_id: Id of the release; by default the one that the live release replaced.
        trusted: Keys of which one must have signed the release; None demands no signature.

    Returns:
        Id of the live release.

    Raises:
        ArtifactError: the release is missing or damaged, or another process changes the releases.
            The live release stays live.
    """
    if not release_ids(releases):
        raise MissingArtifactError(
            f"{releases} holds no release; publish one with `make publish DATASET={releases.name}`"
        )
    with changing(releases):
        chosen = release_before(releases) if release_id is None else release_id
        _require_known(releases, chosen)
        _servable(releases / chosen, trusted)
        go_live(releases, chosen)
    logger.info("%s is live", chosen)
    return chosen


def _require_known(releases: Path, release_id: str) -> None:
    known = release_ids(releases)
    if release_id not in known:
        raise ReleaseError(
            f"release must be one of {', '.join(known)}, got {release_id}; "
            f"`make releases DATASET={releases.name}` lists them"
        )


def _sign(release: Path, key: "Ed25519PrivateKey") -> None:
    logger.info("%s is signed by the key %s", release.name, sign(release, key))


def _published(built: Release) -> dict[str, Manifest]:
    """Manifests of the stages that are published; the last fit replaces the evaluated one."""
    replaced = {served_as(stage) for stage in built.manifests if stage in LAST}
    return {stage: made for stage, made in built.manifests.items() if stage not in replaced}


def _servable(root: Path, trusted: TrustedKeys | None = None, *, last_fit: bool = False) -> Release:
    """Check that a server of this version can load the stages below a folder.

    Args:
        root: Folder of a dataset's stages, or of a published release.
        trusted: Keys of which one must have signed the release; None demands no signature.
        last_fit: Whether the stages of the last fit, below the dataset's folder, are checked, too.

    Raises:
        ArtifactError: a stage is missing, corrupt or does not match the others, or the ranker was
            trained on other features than this version computes.
        ConnectionError: Milvus does not answer.
    """
    stages = (*CASCADE, *LAST) if last_fit else CASCADE
    release = open_release(root, with_beside(root, stages), trusted=trusted)
    require_store(root / (LAST_INDEX if last_fit else INDEX))
    if (names := release.manifests[SHORTLISTS].config.get("features")) is not None:
        require_features(names, root / RANKER)
    return release


def _compact_changes(releases: Path) -> None:
    """Compact the journal of item changes; if that fails, keep all changes and log a warning."""
    if not (releases / CHANGES).exists():
        return
    log = JournalLog(releases / CHANGES)
    try:
        log.claim()
        done = compact(log, release_folders(releases))
        if done is not None:
            logger.info("%d changes of items dropped: all releases contain them", done.dropped)
    except JournalHeldError as error:
        logger.info("changes of items stay until the server loads the release: %s", error)
    except (ArtifactError, OSError) as error:
        logger.warning("changes of items stay as they are: %s", error)
    finally:
        log.close()


def _holds(release: Path, fingerprints: dict[str, str]) -> bool:
    """Whether a release is whole and has the stages with these fingerprints."""
    try:
        return verify_release(release).stages == fingerprints
    except (CorruptArtifactError, OtherFormatError) as error:
        logger.warning("the live release cannot be kept: %s", error)
        return False


def release_before(releases: Path) -> str:
    """Id of the release that the live one replaced, the target of a roll-back.

    Raises:
        ReleaseError: no release is live, or the live one replaced nothing.
    """
    live = live_id(releases)
    if live is None:
        raise ReleaseError(f"{releases} has no live release; choose one with RELEASE=id")
    before = read_record(releases / live).replaces
    if before is None:
        raise ReleaseError(f"{live} replaced nothing; choose another release with RELEASE=id")
    return before

"""Finished stages that options name by their folder, such as a pre-trained backbone."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lineage.manifest import (
    MANIFEST,
    Manifest,
    MismatchedArtifactError,
    command,
    read_manifest,
)
from lineage.stages import BACKBONE

NAMED = ("backbone", "user_backbone", "start_from", "warm_start")
"""Options that may name the folder of a finished stage, or of the backbone in one"""


def named_inputs(config: Mapping[str, Any]) -> dict[str, str]:
    """Fingerprint of each finished stage that options name, by the option.

    A backbone that no stage made, such as a downloaded one, is none.

    Args:
        config: Options of a stage, by name.

    Raises:
        ArtifactError: a named stage cannot be read.
    """
    stages = {option: stage_at(Path(config[option])) for option in NAMED if config.get(option)}
    return {option: stage.fingerprint for option, stage in stages.items() if stage is not None}


def stage_at(folder: Path) -> Manifest | None:
    """Manifest of the finished stage that a folder is, or whose backbone it is; None if neither.

    Raises:
        ArtifactError: the stage cannot be read.
    """
    places = [folder, folder.parent] if folder.name == BACKBONE else [folder]
    for place in places:
        if (place / MANIFEST).is_file():
            return read_manifest(place, _stage_name(place))
    return None


def _stage_name(folder: Path) -> str:
    """The stage that a manifest names; the folder's name if it is unreadable."""
    try:
        return str(json.loads((folder / MANIFEST).read_text())["stage"])
    except (ValueError, TypeError, KeyError):
        return folder.name


def require_named_inputs(folder: Path, stage: str, manifest: Manifest) -> None:
    """Check that a stage was made from what its options name, if that is still there.

    Raises:
        MismatchedArtifactError: it is another one since; the message names the command that makes
            the stage again.
        ArtifactError: a named stage cannot be read.
    """
    for option, fingerprint in named_inputs(manifest.config).items():
        if (known := manifest.inputs.get(option)) != fingerprint:
            raise MismatchedArtifactError(
                f"{manifest.stage!r} in {folder} was made from the {option} {known}, but "
                f"{manifest.config[option]} is now {fingerprint}; make it again with "
                f"`{command(folder, stage)}`"
            )

"""Finished stages that options name by their folder, such as a pre-trained backbone."""

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
from lineage.stages import BACKBONE, TOWERS

NAMED: Mapping[str, str] = {
    "backbone": BACKBONE,
    "user_backbone": BACKBONE,
    "start_from": TOWERS,
}
"""Options that may name the folder of a finished stage, and the name of that stage"""


def named_inputs(config: Mapping[str, Any]) -> dict[str, str]:
    """Fingerprint of each finished stage that options name, by the option.

    A backbone that no stage made, such as a downloaded one, is none.

    Args:
        config: Options of a stage, by name.

    Raises:
        ArtifactError: a named stage cannot be read.
    """
    folders = {option: config.get(option) for option in NAMED}
    return {
        option: read_manifest(Path(folder), NAMED[option]).fingerprint
        for option, folder in folders.items()
        if folder and (Path(folder) / MANIFEST).is_file()
    }


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

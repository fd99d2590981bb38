"""Makes the last fit: towers and index that learn everything, the test split too."""

import logging
import subprocess
import sys
from pathlib import Path

from lineage.manifest import ArtifactError, command, is_up_to_date, read_manifest
from lineage.open_release import open_release
from lineage.stages import LAST, STAGES, served_as

logger = logging.getLogger(__name__)


def make_last_fit(root: Path) -> None:
    """Make the stages of the last fit that are missing or outdated, each in a process of its own.

    So publishing loads no training code, and a training may start further processes. A training
    that was killed continues.

    Args:
        root: Folder of a dataset's stages.

    Raises:
        ArtifactError: a stage of the pipeline is missing or does not match the others, or a stage
            of the last fit could not be made.
    """
    outdated = [stage for stage in LAST if not _up_to_date(root, stage)]
    if not outdated:
        return
    open_release(root)  # before a long training
    logger.info("the last fit learns everything, the test split too")
    whole = root.absolute()
    options = ["--dataset", whole.name, "--artifacts", str(whole.parent)]
    for stage in outdated:
        made = subprocess.run([sys.executable, "-m", LAST[stage].module, *options], check=False)
        if made.returncode:
            raise ArtifactError(
                f"{root / stage} could not be made, for the reason above; try again with "
                f"`{command(root / stage, stage)}`, or publish with last_fit: false"
            )


def _up_to_date(root: Path, stage: str) -> bool:
    """Whether a stage has the options of the evaluated one and its inputs have not changed."""
    evaluated = served_as(stage)
    try:
        config = read_manifest(root / evaluated, evaluated).config
        inputs = {
            name: read_manifest(root / name, name).fingerprint for name in STAGES[stage].needs
        }
    except ArtifactError:
        return False
    return is_up_to_date(root / stage, stage=stage, config=config, inputs=inputs)

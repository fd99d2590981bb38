"""Runs stages as processes of their own, which hold the night's lock as long as they live."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lineage.manifest import ArtifactError

FALLBACK = Path("configs")


class StageFailedError(ArtifactError):
    """A stage ended with an error, which its log says."""


def run_module(module: str, options: Sequence[str], *, lock: int) -> None:
    """Run a module as a command.

    A stage that outlives a killed night keeps the next one waiting, so that no two write the same
    folder.

    Args:
        module: Module with a `__main__`.
        options: Its command line.
        lock: Descriptor that the process inherits.

    Raises:
        StageFailedError: it ended with another status than 0.
    """
    command = [sys.executable, "-m", module, *options]
    ended = subprocess.run(command, check=False, pass_fds=(lock,))
    if ended.returncode:
        raise StageFailedError(
            f"{module} ended with status {ended.returncode}, for the reason above; the night can "
            "be started again, and goes on with what is finished"
        )


def option_file(configs: Path, stage: str) -> Path:
    """YAML file of a stage's options, from a folder or from `configs`."""
    own = configs / f"{stage}.yaml"
    return own if own.is_file() else FALLBACK / f"{stage}.yaml"


def written_options(folder: Path, stage: str, options: Mapping[str, Any]) -> Path:
    """Write options into a YAML file, and return its path."""
    path = folder / f"{stage}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(options, indent=1))  # JSON is YAML
    return path

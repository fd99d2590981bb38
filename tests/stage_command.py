"""Starts the command of a stage in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml


def started(
    module: Sequence[str], config: Any, root: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start a stage's command.

    Args:
        module: Arguments of Python that name the stage's module.
        config: Options of the stage.
        root: Folder of the dataset's stages.
        environment: Variables to add to this process's.
    """
    path = root.parent / f"{root.name}.yaml"
    path.write_text(yaml.safe_dump(asdict(config)))
    options = ["--config", path, "--dataset", root.name, "--artifacts", root.parent]
    return subprocess.Popen(
        [sys.executable, *module, *map(str, options)],
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=Path(__file__).parents[1],
    )

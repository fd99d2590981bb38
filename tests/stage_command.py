"""Starts the command of a stage in processes of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

TOGETHER = """
import os, runpy, socket, sys
import towers.train  # once for both processes

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = str(free.getsockname()[1])
host = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "GROUP_RANK": "0"}
os.environ |= host | {"TORCHELASTIC_RUN_ID": "r", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
processes = []
for rank in "01":
    processes.append(os.fork())
    if processes[-1] == 0:
        os.environ |= {"RANK": rank, "LOCAL_RANK": rank}
        runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
        sys.exit()
sys.exit(any([os.waitpid(process, 0)[1] for process in processes]))
"""
"""Runs a module in two processes with the environment that `torchrun` gives them."""


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

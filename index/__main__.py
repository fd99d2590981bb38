"""`python -m index`: build the index and the neighbour lists."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from index.config import IndexConfig
from lineage.cli import run_stage
from lineage.stages import INDEX


def make(config: IndexConfig, root: Path, folder: Path) -> Mapping[str, Any]:
    """Make the stage; its slow imports wait until there is work."""
    from index.stage import build

    return build(config, root, folder)


if __name__ == "__main__":
    run_stage(INDEX, IndexConfig, make)

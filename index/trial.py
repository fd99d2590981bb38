"""`python -m index.trial`: build the recall sources of the trial."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from index.config import IndexConfig
from lineage.cli import run_stage
from lineage.stages import TRIAL_INDEX


def make(config: IndexConfig, root: Path, folder: Path) -> Mapping[str, Any]:
    """Make the stage; its slow imports wait until there is work."""
    from index.stage import trial

    return trial(config, root, folder)


if __name__ == "__main__":
    run_stage(TRIAL_INDEX, IndexConfig, make)

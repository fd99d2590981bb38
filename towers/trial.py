"""`python -m towers.trial`: train both towers on the training split."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lineage.cli import run_stage
from lineage.stages import TRIAL_TOWERS
from towers.config import TowersConfig


def make(config: TowersConfig, root: Path, folder: Path) -> Mapping[str, Any]:
    """Make the stage; its slow imports wait until there is work."""
    from towers.train import trial

    return trial(config, root, folder)


if __name__ == "__main__":
    run_stage(TRIAL_TOWERS, TowersConfig, make)

"""`python -m towers`: train both towers and embed the corpus."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lineage.cli import run_stage
from lineage.stages import TOWERS
from towers.config import TowersConfig


def make(config: TowersConfig, root: Path, folder: Path) -> Mapping[str, Any]:
    """Make the stage; its slow imports wait until there is work."""
    from towers.train import train

    return train(config, root, folder)


if __name__ == "__main__":
    run_stage(TOWERS, TowersConfig, make)

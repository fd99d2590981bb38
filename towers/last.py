"""`python -m towers.last`: train both towers again on everything, to be published."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lineage.cli import run_again
from lineage.stages import LAST_TOWERS, TOWERS
from towers.config import TowersConfig


def make(config: TowersConfig, root: Path, folder: Path) -> Mapping[str, Any]:
    """Make the stage; its slow imports wait until there is work."""
    from towers.train import train_last

    return train_last(config, root, folder)


if __name__ == "__main__":
    run_again(LAST_TOWERS, TOWERS, TowersConfig, make)

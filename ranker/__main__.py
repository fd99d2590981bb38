"""`python -m ranker`: train the ranker on mined shortlists."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lineage.cli import run_stage
from lineage.stages import RANKER
from ranker.config import RankerConfig


def make(config: RankerConfig, root: Path, folder: Path) -> Mapping[str, Any]:
    """Make the stage; torch is imported only when there is work to do."""
    from ranker.train import train

    return train(config, root, folder)


if __name__ == "__main__":
    run_stage(RANKER, RankerConfig, make)

"""`python -m retrieval`: recall the shortlists that the ranker is trained on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lineage.cli import run_stage
from lineage.stages import SHORTLISTS
from retrieval.config import ShortlistsConfig


def make(config: ShortlistsConfig, root: Path, folder: Path) -> Mapping[str, Any]:
    """Make the stage; torch is imported only when there is work to do."""
    from retrieval.mine_shortlists import mine

    return mine(config, root, folder)


if __name__ == "__main__":
    run_stage(SHORTLISTS, ShortlistsConfig, make)

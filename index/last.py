"""`python -m index.last`: build the index again from everything, to be published."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from index.config import IndexConfig
from lineage.cli import run_again
from lineage.stages import INDEX, LAST_INDEX


def make(config: IndexConfig, root: Path, folder: Path) -> Mapping[str, Any]:
    """Make the stage; its slow imports wait until there is work."""
    from index.stage import build_last

    return build_last(config, root, folder)


if __name__ == "__main__":
    run_again(LAST_INDEX, INDEX, IndexConfig, make)

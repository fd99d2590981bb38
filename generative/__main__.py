"""`python -m generative`: learn semantic ids and train the decoder that generates items."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from generative.config import GenerativeConfig
from lineage.cli import run_stage
from lineage.stages import GENERATIVE


def make(config: GenerativeConfig, root: Path, folder: Path) -> Mapping[str, Any]:
    """Make the stage; its slow imports wait until there is work."""
    from generative.train import train

    return train(config, root, folder)


if __name__ == "__main__":
    run_stage(GENERATIVE, GenerativeConfig, make)

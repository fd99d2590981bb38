"""`python -m pretraining`: pre-train a backbone on a shop's texts and purchases, or on a table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineage.stages import BACKBONE
from pretraining.command import make_stage, run_command
from pretraining.config import PretrainConfig

if TYPE_CHECKING:
    from dataset.arrays import Dataset
    from pretraining.source import Source


def main(arguments: Sequence[str] | None = None) -> None:
    """Pre-train with the options of the command line."""
    run_command(BACKBONE, PretrainConfig, make, arguments)


def make(config: PretrainConfig, dataset: str, root: Path) -> None:
    """Make the stage of a shop, or of a table's texts.

    Args:
        config: Options of pre-training; its columns of text mean a table.
        dataset: Name or folder of the shop, or folder or file of the table.
        root: Folder of the dataset's stages.

    Raises:
        ArtifactError: the shop's data stage is missing.
        ValueError: the table breaks a rule.
        OSError: a file cannot be read or written.
    """

    def of_shop(data: "Dataset") -> "Source":
        from pretraining.source import Source

        return Source.of_shop(data, window=config.window)

    make_stage(BACKBONE, config, dataset, root, of_shop=of_shop, learn=_learn)


def _learn(
    config: PretrainConfig, source: "Source", root: Path, folder: Path, inputs: Mapping[str, str]
) -> Mapping[str, Any]:
    from pretraining.train import pretrain

    return pretrain(config, source, root, folder, inputs)


if __name__ == "__main__":
    main()

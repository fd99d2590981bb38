"""`python -m pretraining.distil`: a student of fewer layers learns a backbone's states of texts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineage.stages import DISTILLED
from pretraining.command import make_stage, run_command
from pretraining.config import DistilConfig

if TYPE_CHECKING:
    from dataset.arrays import Dataset
    from pretraining.source import Source


def main(arguments: Sequence[str] | None = None) -> None:
    """Distil with the options of the command line."""
    run_command(DISTILLED, DistilConfig, make, arguments)


def make(config: DistilConfig, dataset: str, root: Path) -> None:
    """Make the stage of a shop, or of a table's texts.

    Args:
        config: Options of the student and of its training; columns of text mean a table.
        dataset: Name or folder of the shop, or folder or file of the table.
        root: Folder of the dataset's stages.

    Raises:
        ArtifactError: the shop's data stage is missing.
        ValueError: the table breaks a rule, or the teacher has too few layers.
        OSError: a file cannot be read or written.
    """
    make_stage(DISTILLED, config, dataset, root, of_shop=_of_shop, learn=_learn)


def _of_shop(data: "Dataset") -> "Source":
    from pretraining.source import Source

    return Source.of_shop(data, window=1, searches=True)


def _learn(
    config: DistilConfig, source: "Source", root: Path, folder: Path, inputs: Mapping[str, str]
) -> Mapping[str, Any]:
    from pretraining.distillation import distil

    return distil(config, source, root, folder, inputs)


if __name__ == "__main__":
    main()

"""Command line of the stages that learn a backbone from a shop's texts or from a table's."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dataset.labelled_texts import table_name
from dataset.paths import dataset_name
from lineage.beside import asked
from lineage.cli import reported_errors, run
from lineage.manifest import read_manifest
from lineage.stages import BESIDE, DATA
from pretraining.config import LearningConfig

if TYPE_CHECKING:
    from dataset.arrays import Dataset
    from pretraining.source import Source

Config = TypeVar("Config", bound=LearningConfig)


def run_command(
    stage: str,
    config_type: type[Config],
    make: Callable[[Config, str, Path], None],
    arguments: Sequence[str] | None,
) -> None:
    """Make a stage with the options of the command line.

    Args:
        stage: Path of the stage.
        config_type: Its options.
        make: Makes the stage from options, dataset and folder of the dataset's stages.
        arguments: Arguments of the command line; by default the process's own.
    """
    with reported_errors():
        read = asked(
            stage,
            config_type,
            list(sys.argv[1:] if arguments is None else arguments),
            dataset="as for the other stages; with --text also a folder with one table, or a file",
            file=f"{BESIDE[stage].target}.yaml",
            reports=False,
        )
        dataset = str(read.dataset)
        name = table_name if read.config.texts else dataset_name
        make(read.config, dataset, read.artifacts / (read.name or name(dataset)))


def make_stage(
    stage: str,
    config: Config,
    dataset: str,
    root: Path,
    *,
    of_shop: Callable[["Dataset"], "Source"],
    learn: Callable[[Config, "Source", Path, Path, Mapping[str, str]], Mapping[str, Any]],
) -> None:
    """Make a stage of a shop, or of a table's texts; slow imports wait until there is work.

    Args:
        stage: Path of the stage.
        config: Its options; their columns of text mean a table.
        dataset: Name or folder of the shop, or folder or file of the table.
        root: Folder of the dataset's stages.
        of_shop: What is learnt of a shop.
        learn: Writes the stage from options, what is learnt, the folder of the dataset's stages,
            the folder to write to and the inputs' fingerprints; returns facts.

    Raises:
        ArtifactError: the shop's data stage is missing.
        ValueError: the table breaks a rule, or no column of its text is named.
        OSError: a file cannot be read or written.
    """
    if not config.texts and Path(dataset).is_file():
        raise ValueError(
            f"text must name the columns of the text of a table, got none for {dataset}; add "
            "--text=column, as TEXT=column of `make`"
        )
    if config.texts:
        from dataset.prepare.labelled_table import checksums, labelled_files, read_texts

        files = labelled_files(Path(dataset))
        inputs = checksums(files)
    else:
        inputs = {DATA: read_manifest(root / DATA, DATA).fingerprint}

    def build(config: Config, root: Path, folder: Path) -> Mapping[str, Any]:
        if config.texts:
            from pretraining.source import Source

            texts = read_texts(files, config.texts, config.token_budget)
            return learn(config, Source.of_texts(texts), root, folder, inputs)
        from dataset.arrays import load_dataset

        return learn(config, of_shop(load_dataset(root / DATA)), root, folder, inputs)

    run(stage, config, root, build, inputs=inputs)

"""Command line of the stages that learn a backbone from a shop's texts or from a table's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import jsonargparse

from dataset.labelled_texts import table_name
from dataset.paths import dataset_name
from lineage.cli import configure_logging, reported_errors, run
from lineage.manifest import read_manifest
from lineage.options import OptionParser
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
    made = parser(stage, config_type)
    parsed = made.parse_args(arguments)
    configure_logging()
    with reported_errors():
        options = made.instantiate(parsed)
        config = config_type(**{field.name: options[field.name] for field in fields(config_type)})
        name = table_name if config.texts else dataset_name
        make(config, options.dataset, options.artifacts / (options.name or name(options.dataset)))


def parser(stage: str, config_type: type[LearningConfig]) -> OptionParser:
    """Parser of a stage's options."""
    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    known = BESIDE[stage]
    made = OptionParser(prog=f"python -m {known.module}", description=known.about)
    made.add_config(f"{known.target}.yaml")
    made.add_argument(
        "--dataset",
        required=True,
        help="as for the other stages; with --text also a folder with one table, or a file",
    )
    made.add_argument(
        "--name", default="", help="name of the output of a table; by default its own"
    )
    made.add_argument("--artifacts", type=Path, default=Path("artifacts"), help="output root")
    made.add_class_arguments(config_type)
    return made


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
        ValueError: the table breaks a rule.
        OSError: a file cannot be read or written.
    """
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

"""`python -m pretraining`: pre-train a backbone on a shop's texts and purchases, or on a table."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonargparse

from dataset.labelled_texts import table_name
from dataset.paths import dataset_name
from lineage.cli import configure_logging, reported_errors, run
from lineage.manifest import read_manifest
from lineage.options import OptionParser
from lineage.stages import BACKBONE, BESIDE, DATA
from pretraining.config import PretrainConfig


def main(arguments: Sequence[str] | None = None) -> None:
    """Pre-train with the options of the command line."""
    made = parser()
    parsed = made.parse_args(arguments)
    configure_logging()
    with reported_errors():
        options = made.instantiate(parsed)
        config = PretrainConfig(
            **{field.name: options[field.name] for field in fields(PretrainConfig)}
        )
        name = table_name if config.texts else dataset_name
        make(config, options.dataset, options.artifacts / (options.name or name(options.dataset)))


def parser() -> OptionParser:
    """Parser of the options."""
    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    made = OptionParser(prog="python -m pretraining", description=BESIDE[BACKBONE].about)
    made.add_config("pretrain.yaml")
    made.add_argument(
        "--dataset",
        required=True,
        help="as for the other stages; with --text also a folder with one table, or a file",
    )
    made.add_argument(
        "--name", default="", help="name of the output of a table; by default its own"
    )
    made.add_argument("--artifacts", type=Path, default=Path("artifacts"), help="output root")
    made.add_class_arguments(PretrainConfig)
    return made


def make(config: PretrainConfig, dataset: str, root: Path) -> None:
    """Make the stage of a shop, or of a table's texts; its slow imports wait until there is work.

    Args:
        config: Options of pre-training; its columns of text mean a table.
        dataset: Name or folder of the shop, or folder or file of the table.
        root: Folder of the dataset's stages.

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

    def build(config: PretrainConfig, root: Path, folder: Path) -> Mapping[str, Any]:
        from pretraining.source import Source
        from pretraining.train import pretrain

        if config.texts:
            texts = read_texts(files, config.texts, config.token_budget)
            return pretrain(config, Source.of_texts(texts), root, folder, inputs)
        from dataset.arrays import load_dataset

        source = Source.of_shop(load_dataset(root / DATA), window=config.window)
        return pretrain(config, source, root, folder, inputs)

    run(BACKBONE, config, root, build, inputs=inputs)


if __name__ == "__main__":
    main()

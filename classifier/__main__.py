"""`python -m classifier`: train a classifier on a table and measure it, apply or watch one."""

import logging
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import jsonargparse

from classifier.config import ClassifierConfig
from dataset.labelled_texts import table_name
from lineage.cli import configure_logging, reported_errors, run
from lineage.options import OptionParser
from lineage.stages import BESIDE, CLASSIFIER

logger = logging.getLogger("classifier")
APPLY, WATCH = "apply", "watch"


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and measure, or run a subcommand, with the options of the command line."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == [APPLY]:
        from classifier.apply import main as apply

        apply(given[1:])
        return
    if given[:1] == [WATCH]:
        from classifier.watch import main as watch

        watch(given[1:])
        return
    options = parser().parse_args(given)
    configure_logging()
    with reported_errors():
        config = configured(options)
        name = options.name or table_name(options.dataset)
        command = shlex.join(["python", "-m", "classifier", *given])
        classify(
            config,
            Path(options.dataset),
            options.artifacts / name,
            options.reports / name,
            command,
        )


def parser() -> OptionParser:
    """Parser of the options."""
    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    made = OptionParser(
        prog="python -m classifier",
        description=f"{BESIDE[CLASSIFIER].about} `python -m classifier apply` fills in what a "
        "table lacks; `python -m classifier watch` raises alarms when labels change.",
    )
    made.commands = (APPLY, WATCH)
    made.add_config("classifier.yaml")
    made.add_argument(
        "--dataset", required=True, help="folder with items, or a Parquet, CSV or JSON Lines file"
    )
    made.add_argument("--name", default="", help="name of the output; by default the dataset's")
    made.add_argument("--artifacts", type=Path, default=Path("artifacts"), help="output root")
    made.add_argument("--reports", type=Path, default=Path("reports"), help="root of the reports")
    made.add_class_arguments(ClassifierConfig)
    return made


def configured(options: jsonargparse.Namespace) -> ClassifierConfig:
    """The options of the classifier among those of the command line.

    Raises:
        ValueError: an option is out of range.
    """
    names = [field.name for field in fields(ClassifierConfig)]
    instantiated = parser().instantiate(options)
    return ClassifierConfig(**{name: instantiated[name] for name in names})


def classify(
    config: ClassifierConfig, dataset: Path, root: Path, reports: Path, command: str
) -> None:
    """Train a classifier and measure it; skips what is up to date.

    Args:
        config: Options of the classifier.
        dataset: Folder or file of the table.
        root: Folder of the dataset's stages.
        reports: Folder of its reports.
        command: Command that repeats this.

    Raises:
        ValueError: the table breaks a rule.
        OSError: a file cannot be read or written.
    """
    from dataset.prepare.labelled_table import Columns, checksums, labelled_files, read_labelled

    files = labelled_files(dataset)
    inputs = checksums(files)
    columns = Columns(
        text=config.texts, target=config.targets, task=config.task, token_budget=config.token_budget
    )

    def build(config: ClassifierConfig, root: Path, folder: Path) -> Mapping[str, Any]:
        from classifier.train import train

        return train(config, read_labelled(files, columns), root, folder, inputs)

    run(CLASSIFIER, config, root, build, inputs=inputs)
    from classifier.reporting import reported

    reported(root, reports, lambda: read_labelled(files, columns), asdict(config), command)


if __name__ == "__main__":
    main()

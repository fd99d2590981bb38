"""`python -m classifier`: train a classifier on a table and measure it, apply or watch one."""

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from classifier.config import ClassifierConfig
from dataset.labelled_texts import table_name
from lineage.beside import asked
from lineage.cli import reported_errors, run
from lineage.stages import CLASSIFIER

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
    with reported_errors():
        read = asked(
            CLASSIFIER,
            ClassifierConfig,
            given,
            more="`python -m classifier apply` fills in what a table lacks; `python -m classifier "
            "watch` raises alarms when labels change.",
            dataset="folder with items, or a Parquet, CSV or JSON Lines file",
            commands=(APPLY, WATCH),
        )
        name = read.name or table_name(str(read.dataset))
        classify(
            read.config,
            read.dataset,
            read.artifacts / name,
            read.reports / name,
            read.command,
        )


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

"""`python -m benchmarks.language`: labels, numbers or searches of a dataset beside peers."""

import logging
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from benchmarks.command import configuration, machine, parser
from benchmarks.language.comparison import Comparison
from benchmarks.language.config import LanguageConfig
from dataset.labelled_texts import table_name
from lineage.cli import configure_logging, reported_errors

logger = logging.getLogger("benchmarks.language")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the task of the dataset that the command line names, print and write the report."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser(
        "python -m benchmarks.language",
        "Measure our labels, numbers or searches beside what a shop would take otherwise.",
        LanguageConfig,
    )
    options.add_argument("--name", default="", help="name of the output; by default the dataset's")
    parsed = options.parse_args(given)
    configure_logging()
    with reported_errors():
        from benchmarks.language.report import HTML, LanguageReport, table, write_report
        from benchmarks.language.task import task_of

        config = configuration(parsed, LanguageConfig)
        name = parsed.name or table_name(parsed.dataset)
        task = task_of(config, Path(parsed.dataset), parsed.artifacts / name)
        comparisons = list[Comparison]()
        for one in task.comparisons():
            comparisons.append(one)
            Console(width=None if sys.stdout.isatty() else 160).print(table(one))
        report = LanguageReport(
            dataset=name,
            task=task.name,
            comparisons=comparisons,
            notes=task.notes,
            config=asdict(config),
            versions=task.versions,
            machine=machine(),
            command=shlex.join(["python", "-m", "benchmarks.language", *given]),
        )
        write_report(parsed.reports / name, report)
        logger.info("report: %s", parsed.reports / name / HTML)


if __name__ == "__main__":
    main()

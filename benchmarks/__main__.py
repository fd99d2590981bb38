"""`python -m benchmarks`: recall, NDCG, MRR and coverage of a release and of the baselines."""

import logging
import sys

from rich.console import Console

from benchmarks.command import configuration, folders, parser
from benchmarks.quality.config import BenchConfig
from benchmarks.report.tables import results_table
from evaluation.page import is_up_to_date
from lineage.cli import configure_logging, reported_errors

logger = logging.getLogger("benchmarks")


def main() -> None:
    """Score the release that the command line names, print the table and write the report."""
    options = parser(
        "python -m benchmarks", "Score a release against simple baselines.", BenchConfig
    ).parse_args()
    from benchmarks.quality.evaluate import benchmark, made_from

    configure_logging()
    with reported_errors():
        config = configuration(options, BenchConfig)
        root, folder = folders(options)
        if is_up_to_date(
            folder / "report.html", folder / "report.json", made_from(config, options.dataset, root)
        ):
            logger.info("report is up to date: %s", folder / "report.html")
            return
        report = benchmark(config, options.dataset, root, folder)
        console = Console(width=None if sys.stdout.isatty() else 160)
        if report.systems:
            console.print(results_table(report))
        logger.info("report: %s", folder / "report.html")


if __name__ == "__main__":
    main()

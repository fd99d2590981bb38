"""`python -m benchmarks`: recall, NDCG, MRR and coverage beside the baselines."""

import logging
import sys
from dataclasses import fields
from pathlib import Path

import jsonargparse
from rich.console import Console

from benchmarks.config import BenchConfig
from benchmarks.quality import benchmark, made_from
from benchmarks.report import is_up_to_date
from benchmarks.table import results_table
from dataset.paths import dataset_name
from lineage.cli import configure_logging, reported_errors

logger = logging.getLogger("benchmarks")


def main() -> None:
    """Score the release that the command line names, print the table and write the report."""
    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = jsonargparse.ArgumentParser(
        prog="python -m benchmarks", description="Score a release beside simple baselines."
    )
    parser.add_argument("--config", action="config", help="YAML file with the options below")
    parser.add_argument("--dataset", required=True, help="`ml-100k`, or a folder of parquet files")
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"), help="input root")
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="output root")
    parser.add_class_arguments(BenchConfig)
    options = parser.parse_args()
    configure_logging()
    with reported_errors():
        config = BenchConfig(**{field.name: options[field.name] for field in fields(BenchConfig)})
        name = dataset_name(options.dataset)
        folder = options.reports / name
        root = options.artifacts / name
        if is_up_to_date(folder, made_from(config, options.dataset, root)):
            logger.info("report is up to date: %s", folder / "report.html")
            return
        report = benchmark(config, options.dataset, root, folder)
        console = Console(width=None if sys.stdout.isatty() else 160)
        console.print(results_table(report))
        logger.info("report: %s", folder / "report.html")


if __name__ == "__main__":
    main()

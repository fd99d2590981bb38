"""`python -m dataset`: check, clean, split and render a dataset."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

import jsonargparse
from rich.console import Console
from rich.table import Table

from dataset.config import DataConfig
from dataset.paths import CACHE, dataset_name
from dataset.prepare.build import build, is_current
from dataset.prepare.privacy import PrivacyFiles
from dataset.prepare.sources import open_source
from lineage.cli import configure_logging, reported_errors
from lineage.manifest import read_manifest
from lineage.stages import DATA, STAGES

logger = logging.getLogger("dataset")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the data stage with the options of the command line."""
    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = jsonargparse.ArgumentParser(prog="python -m dataset", description=STAGES[DATA].about)
    parser.add_argument("--config", action="config", help="YAML file with the options below")
    parser.add_argument("--dataset", required=True, help="`ml-100k`, or a folder of parquet files")
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"), help="output root")
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder for downloads")
    parser.add_class_arguments(DataConfig)
    parser.add_class_arguments(PrivacyFiles)
    options = parser.parse_args(arguments)
    configure_logging()
    with reported_errors():
        config = DataConfig(**{field.name: options[field.name] for field in fields(DataConfig)})
        folder = options.artifacts / dataset_name(options.dataset) / DATA
        privacy = PrivacyFiles(erased=options.erased, user_key=options.user_key)
        run(config, options.dataset, folder, options.cache, privacy)


def run(config: DataConfig, dataset: str, folder: Path, cache: Path, privacy: PrivacyFiles) -> None:
    """Build the stage into a folder and print what cleaning dropped; skip it if it is up to date.

    Raises:
        InputError: the dataset breaks a rule.
        DownloadError: the dataset cannot be fetched.
    """
    source = open_source(dataset, cache)
    if is_current(config, source, folder, privacy):
        logger.info("data is up to date in %s", folder)
        return
    report = build(config, source, folder, privacy)
    rows = [(r.table, r.rule, f"{r.rows_in:,}", f"{r.rows_out:,}", f"{r.rows:,}") for r in report]
    Console(stderr=True).print(_table(rows))
    manifest = read_manifest(folder, DATA)
    logger.info("data took %.1f s: %s", manifest.seconds, dict(manifest.facts))


def _table(rows: Iterable[tuple[str, ...]]) -> Table:
    table = Table("table", "rule", title="Cleaning")
    for name in ("rows in", "rows out", "dropped"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*row)
    return table


if __name__ == "__main__":
    main()

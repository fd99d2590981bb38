"""`python -m dataset`: check, clean, split and render a dataset, or only report on it."""

import io
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

import jsonargparse
from rich.console import Console

from dataset.check_page import dropped_table, page
from dataset.config import DataConfig
from dataset.paths import CACHE, dataset_name
from dataset.prepare.build import build, is_current
from dataset.prepare.check import CheckReport, check_source
from dataset.prepare.privacy import PrivacyFiles
from dataset.prepare.sources import Source, open_source
from lineage.cli import configure_logging, reported_errors
from lineage.manifest import read_manifest
from lineage.options import OptionParser
from lineage.stages import DATA, STAGES

logger = logging.getLogger("dataset")
CHECK, FILE = "check", f"{DATA}.yaml"
WIDTH = 120
"""Columns of a page in HTML, and of one that no terminal shows"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the data stage, or `check`, with the options of the command line."""
    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == [CHECK]:
        check(given[1:])
        return
    parser = OptionParser(
        prog="python -m dataset",
        description=f"{STAGES[DATA].about} `python -m dataset check PATH` reports without writing.",
    )
    parser.commands = (CHECK,)
    parser.add_config(FILE)
    parser.add_argument("--dataset", required=True, help="`ml-100k`, or a folder of a shop's files")
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"), help="output root")
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder for downloads")
    parser.add_class_arguments(DataConfig)
    parser.add_class_arguments(PrivacyFiles)
    parser.add_argument(
        "--recorded",
        type=Path | None,
        help="events that servers recorded, as `make export-events` writes them, which are "
        "interactions, too",
    )
    options = parser.parse_args(given)
    configure_logging()
    with reported_errors():
        config = _config(options)
        folder = options.artifacts / dataset_name(options.dataset) / DATA
        privacy = PrivacyFiles(erased=options.erased, user_key=options.user_key)
        source = open_source(options.dataset, options.cache, config)
        run(config, source, folder, privacy, recorded=options.recorded)


def check(arguments: Sequence[str]) -> None:
    """Print what is understood of a dataset, and write nothing but the files asked for.

    Raises:
        SystemExit: a rule is broken; status 1.
    """
    parser = OptionParser(
        prog="python -m dataset check",
        description="Report what the data stage understands of a dataset and which rules it "
        "breaks, without writing. Ends with status 1 if a rule is broken.",
    )
    parser.add_config(FILE)
    parser.add_argument("dataset", type=str, help="`ml-100k`, or a folder of a shop's files")
    parser.add_argument("--json", type=Path | None, help="file for the report as JSON")
    parser.add_argument("--html", type=Path | None, help="file for the page as HTML")
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder for downloads")
    parser.add_class_arguments(DataConfig)
    options = parser.parse_args(arguments)
    configure_logging()
    with reported_errors():
        report = check_source(options.dataset, options.cache, _config(options))
        _show(report, options.json, options.html)
    if report.broken:
        raise SystemExit(1)


def run(
    config: DataConfig,
    source: Source,
    folder: Path,
    privacy: PrivacyFiles,
    *,
    recorded: Path | None = None,
) -> None:
    """Build the stage into a folder and print what cleaning dropped; skip it if it is up to date.

    Raises:
        InputError: the dataset breaks a rule.
        OSError: the file of recorded events cannot be read.
    """
    if is_current(config, source, folder, privacy, recorded=recorded):
        logger.info("data is up to date in %s", folder)
        return
    report = build(config, source, folder, privacy, recorded=recorded)
    Console(stderr=True).print(dropped_table(report))
    manifest = read_manifest(folder, DATA)
    logger.info("data took %.1f s: %s", manifest.seconds, dict(manifest.facts))


def _config(options: jsonargparse.Namespace) -> DataConfig:
    return DataConfig(**{field.name: options[field.name] for field in fields(DataConfig)})


def _show(report: CheckReport, as_json: Path | None, as_html: Path | None) -> None:
    shown = page(report)
    Console(width=None if sys.stdout.isatty() else WIDTH).print(shown, crop=False)
    if as_json is not None:
        as_json.write_text(json.dumps(asdict(report), indent=1, ensure_ascii=False))
    if as_html is not None:
        recorded = Console(record=True, width=WIDTH, file=io.StringIO())
        recorded.print(shown, crop=False)
        as_html.write_text(recorded.export_html())


if __name__ == "__main__":
    main()

"""Measures a classifier stage and writes its report, unless the report is up to date."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from classifier.division import Division, divided
from classifier.measure import measured
from classifier.predict import Classifier
from classifier.report import HTML, JSON, ClassificationReport, tables, write_report
from dataset.labelled_texts import LabelledTexts
from evaluation.page import is_up_to_date
from lineage.manifest import read_manifest
from lineage.processes import writes
from lineage.stages import CLASSIFIER

logger = logging.getLogger(__name__)


def reported(
    root: Path,
    reports: Path,
    read: Callable[[], LabelledTexts],
    config: Mapping[str, Any],
    command: str,
) -> None:
    """Measure the classifier of a dataset on the test rows, and write and print the report.

    Args:
        root: Folder of the dataset's stages.
        reports: Folder to write to.
        read: Reads the table that the classifier was trained on.
        config: Options of the classifier.
        command: Command that repeats this.
    """
    manifest = read_manifest(root / CLASSIFIER, CLASSIFIER)
    made_from = {CLASSIFIER: manifest.fingerprint}
    if not writes() or is_up_to_date(reports / HTML, reports / JSON, made_from):
        logger.info("the report is up to date in %s", reports)
        return
    table = read()
    division = divided(table)
    report = ClassificationReport(
        dataset=root.name,
        rows={
            "train": len(division.train),
            "valid": len(division.valid),
            "test": len(division.test),
        },
        figures=measured(Classifier.load(root / CLASSIFIER), table, division.test),
        notes=notes_on(division),
        config=config,
        seconds=manifest.seconds,
        command=command,
        made_from=made_from,
    )
    write_report(reports, report)
    for shown in tables(report):
        Console(stderr=True).print(shown)
    logger.info("report: %s", reports / HTML)


def notes_on(division: Division) -> list[str]:
    """What was left out of a table, in sentences."""
    counts = {
        "rows without text were left out.": division.empty_texts,
        "rows without target were left out.": division.without_target,
        "texts of the test are also in training or validation.": division.shared,
    }
    return [f"{count:,} {what}" for what, count in counts.items() if count]

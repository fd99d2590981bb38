"""Measures an answers stage and writes its report, unless the report is up to date."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from answers.artifact import Answers
from answers.measure import measured
from answers.questions import Questions
from answers.report import HTML, JSON, AnswersReport, table, write_report
from answers.train import Faq
from dataset.arrays import load_dataset
from dataset.config import NOTES
from evaluation.page import is_up_to_date
from lineage.manifest import read_manifest
from lineage.stages import ANSWERS, DATA

logger = logging.getLogger(__name__)
UNMEASURED = "no test question has an entry, so nothing is measured"


def reported(root: Path, reports: Path, faq: Faq, config: Mapping[str, Any], command: str) -> None:
    """Measure the answers on the FAQ's test questions, and write and print the report.

    Args:
        root: Folder of the shop's stages.
        reports: Folder to write to.
        faq: The FAQ.
        config: Options of the stage.
        command: Command that repeats this.
    """
    manifest = read_manifest(root / ANSWERS, ANSWERS)
    made_from = {ANSWERS: manifest.fingerprint}
    if is_up_to_date(reports / HTML, reports / JSON, made_from):
        logger.info("the report is up to date in %s", reports)
        return
    questions = Questions.of(load_dataset(faq.root / DATA), "test", faq.unlabelled.get("test", ()))
    answers = Answers.load(root / ANSWERS)
    figures = measured(answers, questions, config["unanswerable"])
    report = AnswersReport(
        dataset=faq.root.name,
        entries=manifest.facts["entries"],
        threshold=answers.rules.threshold,
        notes=[*manifest.facts.get(NOTES, ()), *([] if figures else [UNMEASURED])],
        figures=figures,
        config=config,
        seconds=manifest.seconds,
        command=command,
        made_from=made_from,
    )
    write_report(reports, report)
    Console(stderr=True).print(table(report))
    logger.info("report: %s", reports / HTML)

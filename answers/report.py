"""The report of an answers stage: figures as JSON, a page as HTML, a table for the terminal."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from answers.measure import Figures, Mixture
from evaluation.calibration import calibration_error
from evaluation.page import environment
from lineage.whole_files import replacing

JSON, HTML = "answers.json", "answers.html"
POINTS = 200
"""Most points of a curve"""


@dataclass(frozen=True, kw_only=True)
class AnswersReport:
    """Everything that the report shows."""

    dataset: str
    entries: int
    threshold: float
    notes: Sequence[str]
    """What could not be learnt or measured."""
    figures: Figures | None
    """None without a test question that has an entry."""
    config: Mapping[str, Any]
    seconds: float
    """Wall time of the stage, s."""
    command: str
    made_from: Mapping[str, str]
    """Fingerprints; equal ones give equal figures."""


def write_report(folder: Path, report: AnswersReport) -> None:
    """Write the page and the figures to a folder, each atomically."""
    content = json.dumps(as_json(report), indent=1, ensure_ascii=False, allow_nan=False)
    for name, text in ((HTML, render(report)), (JSON, content)):
        with replacing(folder / name) as partial:
            partial.write_text(text, encoding="utf-8")


def as_json(report: AnswersReport) -> dict[str, Any]:
    """The report as plain values."""
    return {
        "dataset": report.dataset,
        "entries": report.entries,
        "threshold": report.threshold,
        "notes": list(report.notes),
        **({} if report.figures is None else _figures(report.figures)),
        "config": dict(report.config),
        "seconds": report.seconds,
        "command": report.command,
        "made_from": dict(report.made_from),
    }


def _figures(figures: Figures) -> dict[str, Any]:
    return {
        "questions": figures.questions,
        "accuracy@1": figures.accuracy["value"],
        "accuracy_interval": figures.accuracy,
        "ndcg@10": figures.ndcg["value"],
        "ndcg_interval": figures.ndcg,
        "mixtures": [_as_json(one) for one in figures.mixtures],
        "mistakes": list(figures.mistakes),
    }


def _as_json(mixture: Mixture) -> dict[str, Any]:
    return {
        "questions": mixture.name,
        "answerable": mixture.answerable,
        "unanswerable": mixture.unanswerable,
        "precision": mixture.precision,
        "coverage": mixture.coverage,
        "false_answers": mixture.false_answers,
        "ece": calibration_error(list(mixture.reliability)),
        "reliability": list(mixture.reliability),
        "curve": [
            {"threshold": threshold, "precision": precision, "coverage": coverage}
            for threshold, coverage, precision in points(mixture)
        ],
    }


def points(mixture: Mixture) -> Sequence[tuple[float, float, float]]:
    """Threshold, share of the questions that are answered, and precision: at most `POINTS`."""
    found = mixture.curve
    size = len(found.thresholds)
    rows = np.unique(np.linspace(0, size - 1, min(size, POINTS)).round().astype(np.int64))
    columns = (found.thresholds, found.coverage, found.precision)
    values = zip(*(column[rows].round(4).tolist() for column in columns), strict=True)
    return [(threshold, coverage, precision) for threshold, coverage, precision in values]


def render(report: AnswersReport) -> str:
    """The report as one self-contained HTML page."""
    template = environment(Path(__file__).parent).get_template("report.html.j2")
    return template.render(report=report, calibration_error=calibration_error, points=points)


def table(report: AnswersReport) -> Table:
    """Table for the terminal: a row for each mixture of questions."""
    figures = report.figures
    made = Table(title=report.dataset)
    made.add_column("questions")
    for name in ("precision", "answerable answered", "unanswerable answered", "ECE"):
        made.add_column(name, justify="right")
    for one in () if figures is None else figures.mixtures:
        error = calibration_error(list(one.reliability))
        values = (one.precision, one.coverage, one.false_answers, error)
        shown = ("–" if value is None else f"{value:.4f}" for value in values)
        made.add_row(one.name, *shown)
    if figures is not None:
        spans = [
            f"{name} {found['value']:.4f} ({found['low']:.4f} to {found['high']:.4f})"
            for name, found in (("accuracy@1", figures.accuracy), ("NDCG@10", figures.ndcg))
        ]
        made.title = f"{report.dataset}, {figures.questions:,} test questions: {', '.join(spans)}"
    threshold = f"answered from a probability of {report.threshold:.3f}"
    made.caption = "\n".join([threshold, *report.notes])
    return made

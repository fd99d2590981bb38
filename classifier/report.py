"""The report of a classifier: `classification.json` for programs, a page and tables for people."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from classifier.measure import Figures, LabelFigures, LevelFigures, NumberFigures
from classifier.plots import confusion_plot, reliability_plot, scatter_plot
from evaluation.calibration import calibration_error
from evaluation.page import environment
from lineage.whole_files import replacing

JSON, HTML = "classification.json", "classification.html"
ROWS = 20
"""Classes in the terminal's table"""
PAGE_ROWS = 300
"""Classes in the page's table"""


@dataclass(frozen=True, kw_only=True)
class ClassificationReport:
    """Figures of every target of a classifier."""

    dataset: str
    rows: Mapping[str, int]
    """Rows of each split."""
    figures: Sequence[Figures]
    notes: Sequence[str]
    """Rows that were left out, and why."""
    config: Mapping[str, Any]
    seconds: float
    """Wall time of the training, s."""
    command: str
    made_from: Mapping[str, str]
    """Fingerprints; equal ones give equal figures."""


def write_report(folder: Path, report: ClassificationReport) -> None:
    """Write the page and the figures to a folder, each atomically."""
    content = json.dumps(as_json(report), indent=1, ensure_ascii=False, allow_nan=False)
    for name, text in ((HTML, render(report)), (JSON, content)):
        with replacing(folder / name) as partial:
            partial.write_text(text, encoding="utf-8")


def as_json(report: ClassificationReport) -> dict[str, Any]:
    """The report as plain values; the figures of the first target also stand at the top."""
    targets = {figures.name: _as_json(figures) for figures in report.figures}
    return {
        "dataset": report.dataset,
        "rows": dict(report.rows),
        **next(iter(targets.values()), {}),
        "targets": targets,
        "notes": list(report.notes),
        "config": dict(report.config),
        "seconds": report.seconds,
        "command": report.command,
        "made_from": dict(report.made_from),
    }


def _as_json(figures: Figures) -> dict[str, Any]:
    if isinstance(figures, NumberFigures):
        learnt = {"mae": figures.mae_learnt["value"], "r2": _finite(figures.r2_learnt)}
        return {
            "target": figures.name,
            "task": "number",
            "texts": figures.texts,
            "mae": figures.mae["value"],
            "mae_interval": figures.mae,
            "r2": _finite(figures.r2),
            "logarithm": figures.logarithm,
            "learnt_scale": learnt | {"mae_interval": figures.mae_learnt},
            "mistakes": list(figures.mistakes),
        }
    levels = [_level_as_json(level) for level in figures.levels]
    return {
        "target": figures.name,
        "task": "labels",
        "texts": figures.texts,
        **levels[-1],
        "levels": levels if len(levels) > 1 else [],
        "unknown_labels": figures.unknown_labels,
        "unknown": list(figures.unknown),
        "mistakes": list(figures.mistakes),
    }


def _level_as_json(level: LevelFigures) -> dict[str, Any]:
    classes = level.classes
    columns = (classes.precision, classes.recall, classes.f1, classes.support)
    rows = zip(level.labels, *(column.tolist() for column in columns), strict=True)
    names = ("precision", "recall", "f1", "support")
    return {
        "accuracy": level.accuracy["value"],
        "accuracy_interval": level.accuracy,
        "macro_f1": level.macro_f1,
        "ece": calibration_error(level.reliability),
        "reliability": [
            {"confidence": one["predicted"], "accuracy": one["happened"], "texts": one["count"]}
            for one in level.reliability
        ],
        "confusions": [
            {"label": true, "predicted": found, "texts": texts}
            for true, found, texts in level.confusions[:100]
        ],
        "per_class": {
            label: dict(zip(names, row, strict=True))
            for (label, *row), seen in zip(rows, classes.support + classes.predicted, strict=True)
            if seen
        },
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def render(report: ClassificationReport) -> str:
    """The report as one self-contained HTML page."""
    templates = environment(Path(__file__).parent)
    return templates.get_template("report.html.j2").render(
        report=report,
        label_figures=[one for one in report.figures if isinstance(one, LabelFigures)],
        number_figures=[one for one in report.figures if isinstance(one, NumberFigures)],
        calibration_error=calibration_error,
        confusion_plot=confusion_plot,
        reliability_plot=reliability_plot,
        scatter_plot=scatter_plot,
        class_rows=class_rows,
        most_rows=PAGE_ROWS,
    )


def class_rows(level: LevelFigures, most: int) -> list[tuple[str, float, float, float, int]]:
    """Label, precision, recall, F1 and support of the classes of lowest F1 that occur."""
    classes = level.classes
    columns = (classes.precision, classes.recall, classes.f1, classes.support)
    rows = [
        (label, precision, recall, f1, texts)
        for label, precision, recall, f1, texts in zip(
            level.labels, *(column.tolist() for column in columns), strict=True
        )
        if texts
    ]
    return sorted(rows, key=lambda row: (row[3], row[0]))[:most]


def tables(report: ClassificationReport) -> list[Table]:
    """Tables for the terminal: figures of every target, and the classes of lowest F1."""
    table = Table(title=f"{report.dataset}: {report.rows['test']:,} test rows")
    for name in ("target", "figure", "value", "95% interval"):
        table.add_column(name, justify="left" if name in ("target", "figure") else "right")
    for figures in report.figures:
        for name, value, interval in summary(figures):
            shown = f"{interval['low']:.4f} to {interval['high']:.4f}" if interval else ""
            table.add_row(figures.name, name, f"{value:.4f}", shown)
    of_labels = [one for one in report.figures if isinstance(one, LabelFigures)]
    return [table, *map(_worst_classes, of_labels)]


def summary(figures: Figures) -> list[tuple[str, float, Any]]:
    """Name, value and interval, if any, of the main figures of a target."""
    if isinstance(figures, NumberFigures):
        scale = "of the logarithm" if figures.logarithm else "on the learnt scale"
        rows: list[tuple[str, float, Any]] = [
            ("MAE", figures.mae["value"], figures.mae),
            ("R²", figures.r2, None),
        ]
        if figures.logarithm:
            rows += [
                (f"MAE {scale}", figures.mae_learnt["value"], figures.mae_learnt),
                (f"R² {scale}", figures.r2_learnt, None),
            ]
        return rows
    rows = []
    for number, level in enumerate(figures.levels, 1):
        of_level = f" of level {number}" if len(figures.levels) > 1 else ""
        rows += [
            (f"accuracy{of_level}", level.accuracy["value"], level.accuracy),
            (f"macro F1{of_level}", level.macro_f1, None),
            (f"calibration error{of_level}", calibration_error(level.reliability), None),
        ]
    return rows


def _worst_classes(figures: LabelFigures) -> Table:
    table = Table(title=f"{figures.name}: labels of lowest F1")
    for name in ("label", "precision", "recall", "F1", "texts"):
        table.add_column(name, justify="left" if name == "label" else "right")
    for label, precision, recall, f1, texts in class_rows(figures.levels[-1], ROWS):
        table.add_row(label, f"{precision:.3f}", f"{recall:.3f}", f"{f1:.3f}", f"{texts:,}")
    return table

"""The report of the language benchmark: `language.json` for programs, a page for people."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.language.comparison import Comparison
from benchmarks.report.plots import Plot, bar_plot
from benchmarks.report.templates import environment
from evaluation.intervals import Interval
from lineage.whole_files import replacing

JSON, HTML = "language.json", "language.html"
TEMPLATE = "language.html.j2"


@dataclass(frozen=True, kw_only=True)
class LanguageReport:
    """All comparisons of one dataset."""

    dataset: str
    task: str
    """What is predicted: labels, numbers or searches."""
    comparisons: Sequence[Comparison]
    notes: Sequence[str]
    config: Mapping[str, Any]
    versions: Mapping[str, str]
    """Versions of the peers' packages."""
    machine: str
    command: str

    @property
    def plots(self) -> list[Plot]:
        """One picture for each comparison: its headline figure by system."""
        return [
            bar_plot(
                f"{one.title}: {one.headline}",
                {name: figures[one.headline] for name, figures in one.figures.items()},
                one.own,
            )
            for one in self.comparisons
        ]


def write_report(folder: Path, report: LanguageReport) -> None:
    """Write the page and the figures to a folder, each atomically."""
    page = environment().get_template(TEMPLATE).render(report=report)
    content = json.dumps(as_json(report), indent=1, ensure_ascii=False)
    for name, text in ((HTML, page), (JSON, content)):
        with replacing(folder / name) as partial:
            partial.write_text(text, encoding="utf-8")


def as_json(report: LanguageReport) -> dict[str, Any]:
    """The report as plain values."""
    return {
        "dataset": report.dataset,
        "task": report.task,
        "comparisons": [
            {
                "title": one.title,
                "cases": one.cases,
                "ours": list(one.own),
                "systems": {
                    name: {
                        **one.figures[name],
                        **one.plain[name],
                        **({"seconds": one.seconds[name]} if name in one.seconds else {}),
                    }
                    for name in one.figures
                },
                "differences": one.differences,
            }
            for one in report.comparisons
        ],
        "notes": list(report.notes),
        "config": dict(report.config),
        "versions": dict(report.versions),
        "machine": report.machine,
        "command": report.command,
    }


def table(one: Comparison) -> Table:
    """Table for the terminal: figures of every system, and the headline's difference to ours."""
    plain = one.plain_names
    means = list(next(iter(one.figures.values())))
    shown = Table(title=f"{one.title}: {one.cases:,} cases")
    shown.add_column("system")
    for name in (*means, *plain, *(f"{ours} − it, {one.headline}" for ours in one.own), "seconds"):
        shown.add_column(name, justify="right")
    for name, figures in one.figures.items():
        cells = [said(figures[figure]) for figure in means]
        cells += [f"{one.plain[name][key]:.4f}" if key in one.plain[name] else "–" for key in plain]
        for ours in one.own:
            difference = one.differences[ours].get(name)
            cells.append(said(difference[one.headline], sign="+") if difference else "")
        seconds = one.seconds.get(name)
        shown.add_row(name, *cells, "–" if seconds is None else f"{seconds:,.0f}")
    return shown


def said(interval: Interval, *, sign: str = "") -> str:
    """A value with its interval."""
    value, low, high = (format(interval[key], f"{sign}.4f") for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"

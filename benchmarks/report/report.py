"""What a benchmark found: `report.json` for programs, `report.html` for people."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.report.plots import Plot, bar_plot
from benchmarks.report.templates import environment
from evaluation.intervals import RESAMPLES, Interval
from evaluation.metrics import Rows
from evaluation.summary import METRICS

PLOTTED = ("recall@10", "recall@100", "ndcg@10")


@dataclass(frozen=True, kw_only=True)
class ListedItem:
    """One place of a list."""

    title: str
    score: float
    is_target: bool


@dataclass(frozen=True, kw_only=True)
class Target:
    """What the user went on to take, and where it was found."""

    title: str
    shortlist_rank: int | None
    """From 1; None where the shortlist lacks it."""
    final_rank: int | None
    """From 1; None where the final list lacks it."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """One user as the cascade sees them."""

    user: str
    history: Sequence[str]
    """Titles, newest first."""
    targets: Sequence[Target]
    shortlist: Sequence[ListedItem]
    """Head of the shortlist, with tower scores."""
    final: Sequence[ListedItem]
    """Head of the final list, with ranker scores."""

    @property
    def hit(self) -> bool:
        """Whether a target is among the final items shown."""
        return any(item.is_target for item in self.final)


@dataclass(frozen=True, kw_only=True)
class Report:
    """Figures of every system over the same users."""

    dataset: str
    users: int
    history: Literal["excluded", "included"]
    """Whether lists may hold what the user already has."""
    systems: Mapping[str, Mapping[str, Interval]]
    """Metric and interval by system, in the order to show."""
    seconds: Mapping[str, float]
    """Wall time by stage."""
    split: str = "test"
    machine: str = ""
    """What it was measured on."""
    command: str = ""
    """What repeats it."""
    own: Sequence[str] = ("towers", "shortlist", "cascade")
    """Systems that are this engine's, the one to judge it by last."""
    decomposition: Mapping[str, Interval] = field(default_factory=dict)
    """Share of targets still there, by step of the cascade, in order."""
    by_length: Mapping[str, Interval] = field(default_factory=dict)
    """NDCG@10 by how many candidates are ranked, and how long a request then takes."""
    paired: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)
    """Differences over the same users by metric, by comparison ("cascade − item-knn")."""
    slices: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)
    """recall@100 of every system, by kind of target or user."""
    examples: Sequence[Example] = ()
    made_from: Mapping[str, Any] = field(default_factory=dict)
    """Release, options and saved lists; the same ones give the same figures."""

    def __post_init__(self) -> None:
        if not self.systems:
            raise ValueError("systems must hold at least one, got none")

    @property
    def metrics(self) -> list[str]:
        """Metrics that a system has, in the usual order."""
        return [name for name in METRICS if any(name in m for m in self.systems.values())]

    @property
    def compared(self) -> list[str]:
        """Metrics that a comparison has, in the usual order."""
        return [name for name in METRICS if any(name in m for m in self.paired.values())]

    @property
    def headline(self) -> str:
        """The system to judge the engine by: the last of its own, or else the last."""
        return next(
            (name for name in reversed(self.own) if name in self.systems), [*self.systems][-1]
        )

    def best(self, metric: str, *, peers: bool = False) -> str | None:
        """System of the largest value, among all or among peers; of coverage there is no best."""
        values = {
            name: metrics[metric]["value"]
            for name, metrics in self.systems.items()
            if metric in metrics
            and not metric.startswith("coverage")
            and not (peers and name in self.own)
        }
        return max(values, key=values.__getitem__, default=None)

    @property
    def plots(self) -> list[Plot]:
        """One plot for each of the metrics that matter most."""
        figures = {
            metric: {name: m[metric] for name, m in self.systems.items() if metric in m}
            for metric in PLOTTED
        }
        return [bar_plot(metric, values, self.own) for metric, values in figures.items() if values]


def make_example(
    user: str,
    titles: Sequence[str],
    *,
    history: Rows,
    targets: Rows,
    shortlist: tuple[Rows, Sequence[float]],
    final: tuple[Rows, Sequence[float]],
    head: int = 10,
) -> Example:
    """Put one user's lists into words.

    Args:
        user: How to call the user.
        titles: (items,)
        history: Item rows, oldest first.
        targets: Item rows.
        shortlist: Item rows, best first, -1 where there is none, and tower scores.
        final: The same of the ranker.
        head: Places and history items to show; the ranks of targets are of the whole lists.
    """
    return Example(
        user=user,
        history=[titles[row] for row in history[::-1][:head].tolist()],
        targets=[
            Target(
                title=titles[row],
                shortlist_rank=_rank(shortlist[0], row),
                final_rank=_rank(final[0], row),
            )
            for row in targets.tolist()
        ],
        shortlist=_listed(titles, targets, *shortlist)[:head],
        final=_listed(titles, targets, *final)[:head],
    )


def write_report(folder: Path, report: Report) -> None:
    """Write `report.html` and `report.json`, each whole or not at all, into a folder."""
    figures, page = json.dumps(as_json(report), indent=1, allow_nan=False), render(report)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("report.html", page), ("report.json", figures)):
        partial = folder / f".{name}.partial"
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, folder / name)


def is_up_to_date(folder: Path, made_from: Mapping[str, Any]) -> bool:
    """Whether a folder holds a whole report that was made from the same things."""
    try:
        content = json.loads((folder / "report.json").read_text())
    except (OSError, ValueError):
        return False
    same = content.get("made_from") == json.loads(json.dumps(made_from))
    return same and (folder / "report.html").is_file()


def as_json(report: Report) -> dict[str, Any]:
    """Figures without examples; of the optional parts, those that there are."""
    always = ("dataset", "users", "history", "split", "systems", "seconds")
    optional = ("machine", "command", "decomposition", "by_length", "paired", "slices", "made_from")
    content = {name: getattr(report, name) for name in (*always, *optional)}
    return {name: value for name, value in content.items() if value or name in always}


def render(report: Report) -> str:
    """The report as one page that needs nothing else."""
    templates = environment()
    templates.filters["duration"] = duration
    steps, lengths = report.decomposition, report.by_length
    return templates.get_template("report.html.j2").render(
        report=report,
        plotted=PLOTTED,
        resamples=RESAMPLES,
        decomposition=bar_plot("Recall after each step", steps, own=steps) if steps else None,
        by_length=bar_plot("NDCG@10 by candidates ranked", lengths, own=lengths)
        if lengths
        else None,
        longest=max(report.seconds.values(), default=0) or 1,
    )


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def _rank(rows: Rows, row: int) -> int | None:
    found = (rows == row).nonzero()[0]
    return int(found[0]) + 1 if len(found) else None


def _listed(
    titles: Sequence[str], targets: Rows, rows: Rows, scores: Sequence[float]
) -> list[ListedItem]:
    return [
        ListedItem(title=titles[row], score=float(score), is_target=row in targets)
        for row, score in zip(rows.tolist(), scores, strict=True)
        if row >= 0
    ]

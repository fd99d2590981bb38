"""Report of a benchmark: `report.json` for programs, `report.html` for people."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.report.plots import Plot, bar_plot
from benchmarks.report.reliability import OF_ITEMS, picture
from benchmarks.report.templates import environment
from benchmarks.report.variety import importance_parts, variety_parts
from evaluation.intervals import RESAMPLES, Interval
from evaluation.metrics import Rows
from evaluation.summary import METRICS
from lineage.whole_files import replacing

PLOTTED = ("recall@10", "recall@100", "ndcg@10")


@dataclass(frozen=True, kw_only=True)
class ListedItem:
    """One item of a shown list."""

    title: str
    score: float
    is_target: bool


@dataclass(frozen=True, kw_only=True)
class Target:
    """An item that the user bought next, and its ranks."""

    title: str
    shortlist_rank: int | None
    """Rank in the shortlist, from 1; None where the shortlist lacks the item."""
    final_rank: int | None
    """Rank in the final list, from 1; None where the final list lacks the item."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """One user's history, targets and lists."""

    user: str
    history: Sequence[str]
    """Titles, newest first."""
    targets: Sequence[Target]
    shortlist: Sequence[ListedItem]
    """First items of the shortlist, with tower scores."""
    final: Sequence[ListedItem]
    """First items of the final list, with ranker scores."""

    @property
    def hit(self) -> bool:
        """Whether a target is among the final items shown."""
        return any(item.is_target for item in self.final)


@dataclass(frozen=True, kw_only=True)
class Report:
    """Figures of every system over the same cases."""

    dataset: str
    users: int
    cases: int
    """Moments to predict; a user may have several."""
    history: Literal["excluded", "included"]
    """Whether lists may hold items of the user's history."""
    systems: Mapping[str, Mapping[str, Interval]]
    """Intervals by system and metric, in the order to show; none if nothing can be measured."""
    seconds: Mapping[str, float]
    """Wall time by stage, s."""
    split: str = "test"
    notes: Sequence[str] = ()
    """How the data was split, and what was understood differently than one might expect."""
    machine: str = ""
    """Machine that the figures were measured on."""
    command: str = ""
    """Command that repeats the benchmark."""
    own: Sequence[str] = ("towers", "shortlist", "cascade")
    """This engine's systems; the last one is its headline."""
    decomposition: Mapping[str, Interval] = field(default_factory=dict)
    """Share of the targets that remain, by step of the cascade, in order."""
    by_length: Mapping[str, Interval] = field(default_factory=dict)
    """NDCG@10 by number of ranked candidates and time of a request."""
    calibration: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Calibration error and reliability bins of the items' probabilities, by part of an answer."""
    auto: Mapping[str, Any] = field(default_factory=dict)
    """What `shortlist: auto` ranks, reaches and saves."""
    paired: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)
    """Paired differences by comparison ("cascade − item-knn") and metric."""
    ratios: Mapping[str, Interval] = field(default_factory=dict)
    """NDCG@10 of the headline divided by that of peers ("cascade / item-knn, time decay")."""
    slices: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)
    """recall@100 of every system, by kind of target or user."""
    variety: Mapping[str, Any] = field(default_factory=dict)
    """Figures of `variety_figures` and `trade_offs`."""
    importance: Mapping[str, Any] = field(default_factory=dict)
    """Figures of `importance`; empty if the ranker orders nothing."""
    examples: Sequence[Example] = ()
    made_from: Mapping[str, Any] = field(default_factory=dict)
    """Release, options and saved lists; equal ones give equal figures."""

    @property
    def metrics(self) -> list[str]:
        """Metrics that at least one system has, in the usual order."""
        return [name for name in METRICS if any(name in m for m in self.systems.values())]

    @property
    def compared(self) -> list[str]:
        """Metrics that at least one comparison has, in the usual order."""
        return [name for name in METRICS if any(name in m for m in self.paired.values())]

    @property
    def headline(self) -> str:
        """Name of the system to judge the engine by: the last of `own`, or else the last of all."""
        return next(
            (name for name in reversed(self.own) if name in self.systems), [*self.systems][-1]
        )

    def best(self, metric: str, *, peers: bool = False) -> str | None:
        """System with the largest value, among all or among peers; None for coverage."""
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
        """One plot for each metric of `PLOTTED`."""
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
    """Turn one user's rows into titles.

    Args:
        user: Name of the user in the report.
        titles: (items,) titles by row.
        history: Item rows, oldest first.
        targets: Item rows that the user bought next.
        shortlist: Item rows, best first, padded with -1, and tower scores.
        final: The same for the ranker.
        head: Items of each list to show; ranks of targets count the whole lists.
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
    """Write `report.html` and `report.json` to a folder, each atomically."""
    figures, page = json.dumps(as_json(report), indent=1, allow_nan=False), render(report)
    for name, text in (("report.html", page), ("report.json", figures)):
        with replacing(folder / name) as partial:
            partial.write_text(text, encoding="utf-8")


def as_json(report: Report) -> dict[str, Any]:
    """The report's figures without examples and without empty optional parts."""
    always = ("dataset", "users", "cases", "history", "split", "notes", "systems", "seconds")
    optional = (
        "machine",
        "command",
        "decomposition",
        "by_length",
        "calibration",
        "auto",
        "paired",
        "ratios",
        "slices",
        "variety",
        "importance",
        "made_from",
    )
    content = {name: getattr(report, name) for name in (*always, *optional)}
    return {name: value for name, value in content.items() if value or name in always}


def render(report: Report) -> str:
    """The report as one self-contained HTML page."""
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
        reliability=picture(OF_ITEMS, report.calibration, inline=True),
        longest=max(report.seconds.values(), default=0) or 1,
        **variety_parts(report.variety),
        **importance_parts(report.importance),
    )


def duration(seconds: float) -> str:
    """A duration in seconds, minutes or hours for people to read."""
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

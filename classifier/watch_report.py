"""Page, JSON and terminal table of watched labels."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from classifier.bands import BandConfig
from classifier.trends import Alarm, Trends
from evaluation.page import environment
from lineage.counted import counted
from lineage.whole_files import replacing

MOST_PICTURES = 40
"""Pictures of a page: series with alarms first, then the most frequent"""
MOST_ROWS = 100
"""Alarms in a table, newest first"""
WIDTH, HEIGHT = 240, 80


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Share of a label by day, with its band, in the units of the picture."""

    label: str
    topic: str
    band: str
    """Points of the band's outline."""
    line: str
    """Points of the shares."""
    alarms: Sequence[tuple[float, float, str]]
    """Place of each alarm, and what it says."""
    highest: float
    """Share at the top."""


def pictures(trends: Trends) -> list[Picture]:
    """Lay out the series with alarms, then the most frequent ones."""
    alarms = trends.judged.alarms.sum(axis=0)
    order = np.lexsort((-trends.counts.labelled.sum(axis=0), -alarms))[:MOST_PICTURES]
    return [_picture(trends, series) for series in order.tolist()]


def _picture(trends: Trends, series: int) -> Picture:
    counts, judged = trends.counts, trends.judged
    texts = counts.texts[:, series]
    shares = counts.labelled[:, series] / np.maximum(texts, 1)
    low, high = judged.low[:, series], judged.high[:, series]
    highest = _top(shares, high)
    across = WIDTH * np.arange(len(texts)) / max(len(texts) - 1, 1)

    def points(days: Sequence[int], values: NDArray[np.float64]) -> list[str]:
        up = HEIGHT * (1 - np.minimum(values / highest, 1))
        return [f"{across[day]:.1f},{up[day]:.1f}" for day in days]

    known = np.flatnonzero(np.isfinite(low)).tolist()
    alarmed = np.flatnonzero(judged.alarms[:, series]).tolist()
    return Picture(
        label=counts.series[series][0],
        topic=counts.series[series][1],
        band=" ".join(points(known, high) + points(known[::-1], low)),
        line=" ".join(points(np.flatnonzero(texts > 0).tolist(), shares)),
        alarms=[
            (
                round(float(across[day]), 1),
                round(float(HEIGHT * (1 - shares[day] / highest)), 1),
                f"{counts.day(day)}: {shares[day]:.1%} instead of "
                f"{judged.expected[day, series]:.1%}",
            )
            for day in alarmed
        ],
        highest=highest,
    )


def _top(shares: NDArray[np.float64], high: NDArray[np.float64]) -> float:
    """Share at the top of a picture: room for every share, and for the band of most days.

    The first bands follow from few days and may be so wide that shares would look flat.
    """
    bands = high[np.isfinite(high)]
    usual = float(np.median(bands)) if len(bands) else 0.0
    return min(1.0, 1.1 * max(float(np.nanmax(shares)), usual)) or 1.0


def write_watch(
    trends: Trends,
    config: BandConfig,
    target: str,
    command: str,
    *,
    html: Path | None,
    json_file: Path | None,
) -> None:
    """Write the page and the JSON file that are wanted.

    Raises:
        OSError: a file cannot be written.
    """
    if json_file is not None:
        written = {
            "target": target,
            "rate": config.rate,
            "baseline_days": config.baseline.days,
            "first_day": trends.counts.day(0),
            "last_day": trends.last_day,
            "series": len(trends.counts.series),
            "alarms": [asdict(alarm) for alarm in trends.alarms],
        }
        with replacing(json_file) as partial:
            partial.write_text(
                json.dumps(written, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
            )
    if html is not None:
        page = environment(Path(__file__).parent).get_template("watch.html.j2")
        shown = page.render(
            trends=trends,
            config=config,
            target=target,
            command=command,
            heading=counted(len(trends.alarms), "alarm"),
            alarms=list(trends.alarms[::-1][:MOST_ROWS]),
            pictures=pictures(trends),
            size=(WIDTH, HEIGHT),
        )
        with replacing(html) as partial:
            partial.write_text(shown, encoding="utf-8")


def shown_alarms(trends: Trends, target: str) -> None:
    """Print the newest alarms to standard error."""
    table = Table(title=f"{target}: {counted(len(trends.alarms), 'alarm')} until {trends.last_day}")
    for name in ("day", "label", "topic", "share", "expected", "band", "texts"):
        table.add_column(name, justify="left" if name in ("day", "label", "topic") else "right")
    for alarm in trends.alarms[::-1][:MOST_ROWS]:
        table.add_row(*_cells(alarm))
    Console(stderr=True).print(table)


def _cells(alarm: Alarm) -> list[str]:
    band = f"{alarm.low:.1%} to {alarm.high:.1%}"
    share = f"{'▲' if alarm.share > alarm.expected else '▼'} {alarm.share:.1%}"
    shown = [alarm.day, alarm.label, alarm.topic, share, f"{alarm.expected:.1%}", band]
    return [*shown, f"{alarm.labelled:,} of {alarm.texts:,}"]

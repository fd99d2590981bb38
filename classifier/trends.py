"""Counts of labels by day and topic, and the alarms of those that leave their bands."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from classifier.bands import BandConfig, Judged, judged

EPOCH = date(1970, 1, 1)
Days = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Texts by day and series; a series is a label, or a label within a topic."""

    first: int
    """First day, in days since 1970."""
    series: Sequence[tuple[str, str]]
    """Label and topic of each series; the topic is empty for all texts."""
    texts: Days
    """(days, series) texts of the topic, of consecutive days."""
    labelled: Days
    """(days, series) those of them that have the label."""

    @classmethod
    def of(cls, days: Days, labels: Sequence[str], topics: Sequence[str | None] | None) -> "Counts":
        """Count labels by day; with topics also within each, but not twice where there is one.

        Args:
            days: (rows,) days since 1970.
            labels: Label of each row.
            topics: Topic of each row, None for none; None if there are no topics.
        """
        first, rows = int(days.min()), days - days.min()
        names, of_label = np.unique(np.array(labels, object).astype(str), return_inverse=True)
        groups = {"": np.ones(len(rows), bool)}
        if topics is not None:
            known = sorted({topic for topic in topics if topic})
            given = np.array([topic or "" for topic in topics])
            groups |= {topic: given == topic for topic in known}
        shape, series = (int(rows.max()) + 1, len(names)), list[tuple[str, str]]()
        texts, labelled = list[Days](), list[Days]()
        for topic, rows_of_topic in groups.items():
            table = np.zeros(shape, np.int64)
            np.add.at(table, (rows[rows_of_topic], of_label[rows_of_topic]), 1)
            used = np.flatnonzero(table.any(axis=0))
            series += [(str(names[place]), topic) for place in used.tolist()]
            labelled.append(table[:, used])
            texts.append(np.repeat(table.sum(axis=1, keepdims=True), len(used), axis=1))
        return cls(
            first=first,
            series=series,
            texts=np.concatenate(texts, axis=1),
            labelled=np.concatenate(labelled, axis=1),
        )

    def day(self, row: int) -> str:
        """ISO date of a row."""
        return (EPOCH + timedelta(days=self.first + row)).isoformat()


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A day on which the share of a label was out of line."""

    day: str
    label: str
    topic: str
    """Empty for all texts."""
    texts: int
    labelled: int
    share: float
    expected: float
    low: float
    """Lower end of the band."""
    high: float
    """Upper end of the band."""
    p: float
    """Two-sided p-value, before it is compared with those of the other series."""


@dataclass(frozen=True, kw_only=True)
class Trends:
    """Counts, their bands and the alarms, oldest first."""

    counts: Counts
    judged: Judged
    alarms: Sequence[Alarm]

    @classmethod
    def of(cls, counts: Counts, config: BandConfig) -> "Trends":
        """Judge all days."""
        found = judged(counts.texts, counts.labelled, config)
        places = np.argwhere(found.alarms).tolist()
        alarms = [_alarm(counts, found, day, series) for day, series in places]
        return cls(counts=counts, judged=found, alarms=alarms)

    @property
    def last_day(self) -> str:
        """ISO date of the newest day."""
        return self.counts.day(len(self.counts.texts) - 1)


def _alarm(counts: Counts, found: Judged, day: int, series: int) -> Alarm:
    label, topic = counts.series[series]
    texts, labelled = int(counts.texts[day, series]), int(counts.labelled[day, series])
    return Alarm(
        day=counts.day(day),
        label=label,
        topic=topic,
        texts=texts,
        labelled=labelled,
        share=labelled / texts,
        expected=float(found.expected[day, series]),
        low=float(found.low[day, series]),
        high=float(found.high[day, series]),
        p=float(found.p[day, series]),
    )

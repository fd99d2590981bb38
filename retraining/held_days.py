"""Remembers the days whose data are held back, until an operator allows them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from dataset.prepare.days import Day
from lineage.whole_files import replacing
from retraining.day_checks import DayLimits, problems

FILE = "held_days.json"


@dataclass(frozen=True, kw_only=True)
class HeldDays:
    """Days that were found bad."""

    reasons: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What is wrong with each day that is held back, by its date"""
    allowed: frozenset[str] = frozenset()
    """Dates that an operator allowed; they are not checked again"""

    @classmethod
    def read(cls, folder: Path) -> "HeldDays":
        """Read what a folder remembers.

        Raises:
            ValueError: the file is damaged.
        """
        path = folder / FILE
        if not path.is_file():
            return cls()
        try:
            content = json.loads(path.read_text())
            return cls(reasons=content["held"], allowed=frozenset(content["allowed"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path} is damaged ({error}); delete it, and days are judged anew"
            ) from error

    def write(self, folder: Path) -> None:
        """Remember them in a folder."""
        content = {"held": dict(self.reasons), "allowed": sorted(self.allowed)}
        with replacing(folder / FILE) as partial:
            partial.write_text(json.dumps(content, indent=1))

    def judged(
        self, days: Sequence[Day], *, since: date, until: date, limits: DayLimits
    ) -> "HeldDays":
        """Those and the bad ones of some days.

        Args:
            days: All days, oldest first.
            since: First day to judge.
            until: First day that is not judged.
            limits: What is allowed.
        """
        by_date = {day.day: day for day in days}
        good, found = list[Day](), dict(self.reasons)
        for number in range((until - days[0].day).days if days else 0):
            day = by_date.get(date.fromordinal(days[0].day.toordinal() + number))
            day = day or Day(day=date.fromordinal(days[0].day.toordinal() + number))
            name = day.day.isoformat()
            if name in self.reasons and name not in self.allowed:
                continue
            wrong: Sequence[str] = ()
            if day.day >= since and name not in self.allowed:
                wrong = problems(day, good, limits)
            if wrong:
                found[name] = list(wrong)
            else:
                good.append(day)
        return HeldDays(reasons=found, allowed=self.allowed)

    def allow(self, day: str) -> "HeldDays":
        """Those without one.

        Raises:
            ValueError: the day is not held back.
        """
        if day not in self.reasons:
            held = ", ".join(sorted(self.reasons)) or "none"
            raise ValueError(f"day must be one that is held back ({held}), got {day}")
        left = {name: reasons for name, reasons in self.reasons.items() if name != day}
        return HeldDays(reasons=left, allowed=self.allowed | {day})

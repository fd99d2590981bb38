"""Decides what a night does: how much is trained anew, and on which days."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from dataset.arrays import load_dataset
from dataset.later_events import end_of
from dataset.prepare.days import Day
from lineage.manifest import ArtifactError, read_manifest, require_newest_format
from lineage.stages import DATA, GENERATIVE, RANKER, SHORTLISTS, TOWERS, TRIAL_INDEX, TRIAL_TOWERS
from retraining.config import NightlyConfig


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a night does."""

    live: Path | None
    """Folder of the live release; None if nothing is published"""
    full: str
    """Why everything is trained anew; empty if the night goes on from the live release"""
    until: date
    """First day that is not learnt"""
    cuts: tuple[date, date] | None
    """First days of validation and of the newest days; None for the shares of data.yaml"""
    without: tuple[str, ...]
    """Days that are held back"""
    nothing: str = ""
    """Why there is nothing to learn; empty if there is"""

    @property
    def data_options(self) -> list[str]:
        """Options of the data stage."""
        without = "[" + ", ".join(f'"{day}"' for day in self.without) + "]"
        chosen = [f"--until={self.until}", f"--without={without}"]
        if self.cuts is not None:
            first, last = self.cuts
            chosen += ["--split=time-cut", f'--cuts=["{first}", "{last}"]']
        return chosen


def planned(
    config: NightlyConfig,
    *,
    days: Sequence[Day],
    until: date,
    held: Sequence[str],
    live: Path | None,
    warm_nights: int,
) -> Plan:
    """Decide from the days and the live release.

    The newest days are those after everything that the live release has learnt, `test_days` at
    most, so that neither it nor the new models have learnt them. Days that are held back do not
    count.

    Args:
        config: Options of the night.
        days: All days with data, oldest first.
        until: First day that is not learnt.
        held: Days that are held back.
        live: Folder of the live release; None if nothing is published.
        warm_nights: Nights since the last full one.

    Raises:
        ArtifactError: the live release cannot be read.
    """
    good = [day for day in days if day.day < until and day.day.isoformat() not in held]
    good = [day for day in good if day.events]
    plan = Plan(live=live, full="", until=until, cuts=None, without=tuple(sorted(held)))
    if live is None:
        return replace(plan, full="nothing is published yet")
    learnt = learnt_until(live)
    newest = [day.day for day in good if day.day > learnt][-config.test_days :]
    if not newest:
        return replace(plan, nothing=f"no good day since {learnt}, which the live release ends")
    before = [day for day in good if day.day < newest[0]]
    cuts = (_first_valid(before, config.valid_share, newest[0]), newest[0])
    full = cannot_carry(live)
    if not full and warm_nights + 1 >= config.full_every:
        full = f"{warm_nights} nights since the last full one"
    return replace(plan, full=full, cuts=cuts)


def learnt_until(release: Path) -> date:
    """Last day (UTC) of which a release knows an interaction."""
    end = end_of(load_dataset(release / DATA))
    return datetime.fromtimestamp(end, UTC).date()


def cannot_carry(release: Path) -> str:
    """Why a release cannot be gone on from; empty if it can.

    Raises:
        ArtifactError: it is damaged.
    """
    try:
        for stage in (TRIAL_TOWERS, TRIAL_INDEX, SHORTLISTS, RANKER, TOWERS):
            require_newest_format(release / stage, read_manifest(release / stage, stage), stage)
    except ArtifactError:
        return "the live release is of another version"
    kind = read_manifest(release / RANKER, RANKER).config["kind"]
    if kind != "attention":
        return f"a ranker of kind {kind!r} learns items by their rows"
    if (release / GENERATIVE / "manifest.json").is_file():
        return "a decoder learns items by their codes"
    if not load_dataset(release / DATA).timed:
        return "interactions have no times"
    return ""


def _first_valid(before: Sequence[Day], share: float, test: date) -> date:
    """First of the days that have about a share of the events before the newest days."""
    wanted, found = share * sum(day.events for day in before), 0
    for day in reversed(before):
        found += day.events
        if found >= wanted:
            return day.day
    return test - timedelta(days=1)


def facts_of(plan: Plan) -> Mapping[str, Any]:
    """The plan for a report."""
    return {
        "live": None if plan.live is None else plan.live.name,
        "full": plan.full,
        "until": plan.until.isoformat(),
        "cuts": None if plan.cuts is None else [day.isoformat() for day in plan.cuts],
        "without": list(plan.without),
        "nothing": plan.nothing,
    }

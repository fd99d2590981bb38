"""Gathers what happened: a shop's tables, and events that servers recorded, day by day."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from dataset.config import DataConfig
from dataset.prepare.build import read_tables
from dataset.prepare.days import Day, days_of
from dataset.prepare.privacy import PrivacyFiles
from dataset.prepare.recorded import keep_recorded
from dataset.prepare.sources import open_source
from events.privacy.erased_users import FILE as ERASED
from lineage.releases import live_release
from retraining.config import NightlyConfig
from serving.cli.events import export_recorded

logger = logging.getLogger(__name__)
RECORDED = "recorded.parquet"
QUIET = 7
"""Days without an event after which a shop is an archive, which ends with its newest event"""


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What a night may learn from."""

    days: Sequence[Day]
    """All days with data, oldest first"""
    until: date
    """First day that is not learnt"""
    recorded: Path | None
    """File of the recorded events; None if there was no release yet"""
    privacy: PrivacyFiles
    """Erased users, and the users' keys"""


def record(config: NightlyConfig, releases: Path, root: Path, *, again: bool) -> Path | None:
    """Keep the events of the store; the file that has them, None if there is no release yet.

    Args:
        config: Where the store is.
        releases: Folder of the releases.
        root: Folder of the night's stages.
        again: Whether a night that was not finished goes on, with the events that it had.

    Raises:
        ArtifactError: the store is out of reach.
    """
    kept = root / RECORDED
    if again and kept.is_file():
        return kept
    if not (releases / "CURRENT").exists():
        return None
    newer = root / f"newer-{RECORDED}"
    export_recorded(config.events, live_release(releases), newer)
    count = keep_recorded(kept, newer, privacy_of(config, releases))
    newer.unlink()
    logger.info("%d recorded events are kept in %s", count, kept)
    return kept


def privacy_of(config: NightlyConfig, releases: Path) -> PrivacyFiles:
    """Erased users beside the releases, and the keys of the users' names."""
    erased = releases / ERASED
    return PrivacyFiles(
        erased=erased if erased.is_file() else None, user_key=config.events.user_key
    )


def gather(
    config: NightlyConfig,
    options: DataConfig,
    dataset: str,
    *,
    recorded: Path | None,
    releases: Path,
) -> Gathered:
    """Read the tables and count every day.

    Args:
        config: Options of the night.
        options: How the shop's tables are read.
        dataset: The shop's folder.
        recorded: File of recorded events.
        releases: Folder of the releases.

    Raises:
        InputError: the tables break a rule, or have no times.
    """
    tables = read_tables(options, open_source(dataset, config=options), recorded)
    days = days_of(tables)
    return Gathered(
        days=days,
        until=_until(config, days),
        recorded=recorded,
        privacy=privacy_of(config, releases),
    )


def _until(config: NightlyConfig, days: Sequence[Day]) -> date:
    if config.until:
        return date.fromisoformat(config.until)
    today = datetime.now(UTC).date()
    after = days[-1].day + timedelta(days=1) if days else today
    return after if (today - after).days > QUIET else today

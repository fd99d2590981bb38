"""`python -m serving export-exposures` and `prune-exposures`: the log of what was shown."""

import logging
import math
import time
from contextlib import closing
from pathlib import Path

import jsonargparse

from events.privacy.erasure import carry_erasures
from lineage.options import OptionParser
from serving.cli.events import add_store, root_of
from serving.server.users.exposures_config import ExposuresConfig
from serving.server.users.user_events import oldest_retained

logger = logging.getLogger(__name__)


def export_parser() -> OptionParser:
    """Options of `export-exposures`."""
    parser = OptionParser(
        description="Write the exposures that servers have logged, oldest first, one a row: "
        "request, time, user, placement, release, experiment, and the items with scores and "
        "propensities in the order shown. Join them with events by `request_id`, or by user and "
        "item. A server may log at the same time."
    )
    add_store(parser)
    parser.add_argument("--output", type=Path, required=True, help=".parquet or .jsonl file")
    parser.add_argument("--days", type=float | None, help="only the newest days; by default all")
    return parser


def prune_parser() -> OptionParser:
    """Options of `prune-exposures`."""
    parser = OptionParser(
        description="Remove the oldest exposures for good: those that are older than "
        "`--exposures.days`, and those beyond `--exposures.max_rows`. A server does so itself, by "
        "its own options. The file of an SQLite store does not become smaller; later rows reuse "
        "the space."
    )
    add_store(parser)
    parser.add_argument("--exposures", type=ExposuresConfig, default=ExposuresConfig())
    return parser


def export(options: jsonargparse.Namespace) -> None:
    """Write the exposures of a store to a file.

    Raises:
        ValueError: the file is of another kind, or `days` is not positive.
        ArtifactError: there is no release, or the store is out of reach.
        OSError: the file cannot be written.
    """
    from dataset.prepare.exposures_file import check_output, write_exposures

    check_output(options.output)
    days = options.days
    if days is not None and not 0 < days < math.inf:
        raise ValueError(f"days must be positive, got {days:g}")
    root = root_of(options)
    with closing(options.events.opened(root)) as store:
        carry_erasures(store, options.events.erased(root))
        since = 0 if days is None else max(0, oldest_retained(days, at=time.time()))
        rows = write_exposures(store.exposures.scan(since=since), options.output)
    logger.info("%s: %d exposures", options.output, rows)


def prune(options: jsonargparse.Namespace) -> None:
    """Remove the oldest exposures of a store.

    Raises:
        ArtifactError: there is no release, or the store is out of reach.
    """
    kept: ExposuresConfig = options.exposures
    before, removed = oldest_retained(kept.days, at=time.time()), 0
    with closing(options.events.opened(root_of(options))) as store:
        while pruned := store.exposures.prune(before=before, rows=kept.max_rows):
            removed += pruned
        logger.info("%d exposures removed, %d left", removed, store.exposures.count())

"""`python -m serving record`, `export-events` and `prune-events`: events of users."""

import logging
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

import jsonargparse

from dataset.arrays import load_dataset
from events.privacy.erasure import carry_erasures
from lineage.options import OptionParser
from lineage.releases import live_release
from serving.cli.connection import FAILED, TOKEN, add_columns, add_server, connected
from serving.cli.event_lines import events_of_file, events_of_lines
from serving.server.users.events_config import EventsConfig
from serving.server.users.user_events import oldest_retained

logger = logging.getLogger(__name__)


def record_parser() -> OptionParser:
    """Options of `record`."""
    parser = OptionParser(
        description="Record events of a file or of standard input, one JSON object a line: "
        "`user_id`, `item_id`, `action`, and optionally `time` (Unix seconds), `request_id`, "
        "`position` and `event_id`. All lines are checked before anything is sent. An event with "
        "a `time` or an `event_id` may be recorded again and counts once; equal lines are one "
        f"event. Sends the environment's {TOKEN} as the token."
    )
    parser.add_argument(
        "file",
        nargs="?",
        type=Path | None,
        help="a .jsonl or .csv file, also with .gz or .zst, a folder of parts or a glob, whose "
        "lines have `time` or `event_id`; by default standard input",
    )
    add_columns(parser)
    add_server(parser, timeout=10.0)
    return parser


def export_parser() -> OptionParser:
    """Options of `export-events`."""
    parser = OptionParser(
        description="Write the events that belong to histories as a table of interactions, in the "
        "format of `interactions.parquet`, and note the users that the store knows as erased in "
        "`ERASED`, which `make data` leaves out. A server may record events at the same time."
    )
    add_store(parser)
    parser.add_argument("--output", type=Path, required=True, help="parquet file to write")
    return parser


def prune_parser() -> OptionParser:
    """Options of `prune-events`."""
    parser = OptionParser(
        description="Remove events older than `--days` for good. Export them first if the next "
        "rebuild should learn from them. A server may record events at the same time; with "
        "`events.keep_days` it removes old events itself. The file of an SQLite store does not "
        "become smaller; later events reuse the space."
    )
    add_store(parser)
    parser.add_argument(
        "--days", type=float, required=True, help="age up to which events are retained, days"
    )
    return parser


def record(options: jsonargparse.Namespace, lines: Iterable[str] | None = None) -> None:
    """Record the events of a file, or else of the given lines, by default of standard input.

    Raises:
        ValueError: a line is no event; names the lines, and nothing is sent.
        SystemExit: the server rejected an event, or is out of reach; status 1.
    """
    if options.file is not None:
        events = events_of_file(options.file, options.columns, options.delimiter)
    else:
        events = events_of_lines(lines or sys.stdin)
    with connected(options) as client:
        result = client.feedback.record(list(events.values()))
    logger.info("%d events recorded, %d were known", result.recorded, result.known_before)
    places = list(events)
    for sent, reason in result.rejected.items():
        place = places[sent]
        sys.stderr.write(f"error: {place}, user {events[place].user_id!r}: {reason}\n")
    if result.rejected:
        raise SystemExit(FAILED)


def export(options: jsonargparse.Namespace) -> None:
    """Write the events of a store to a Parquet file.

    Raises:
        ArtifactError: there is no release, or the store is out of reach.
        OSError: the file cannot be written.
    """
    export_recorded(options.events, root_of(options), options.output)


def export_recorded(config: EventsConfig, root: Path, output: Path) -> None:
    """Write the events of a store to a Parquet file, and note the users whom it knows as erased.

    Args:
        config: Where the store is.
        root: Folder of the release, or of the unpublished stages.
        output: File to write.

    Raises:
        ArtifactError: the store is out of reach.
        OSError: the file cannot be written.
    """
    actions = config.history_actions(_actions(root))
    with closing(config.opened(root)) as store:
        from dataset.prepare.events_file import write_events

        carry_erasures(store, config.erased(root))
        rows = write_events(store.scan(), output, actions)
    logger.info("%s: %d events with action %s", output, rows, ", ".join(actions))


def prune(options: jsonargparse.Namespace) -> None:
    """Remove the old events of a store.

    Raises:
        ValueError: `days` is not positive.
        ArtifactError: there is no release, or the store is out of reach.
    """
    if options.days <= 0:
        raise ValueError(f"days must be positive, got {options.days:g}")
    with closing(options.events.opened(root_of(options))) as store:
        pruned = store.prune(oldest_retained(options.days, at=time.time()))
        logger.info("%d events removed, %d left", pruned, store.count())


def add_store(parser: OptionParser) -> None:
    """Add the options of an event store beside releases or unpublished stages."""
    parser.add_config("events.yaml")
    parser.add_argument("--releases", type=Path | None, help="folder of a dataset's releases")
    parser.add_argument(
        "--artifacts", type=Path | None, help="folder of unpublished stages: `artifacts/ml-100k`"
    )
    parser.add_argument("--events", type=EventsConfig, default=EventsConfig())


def root_of(options: jsonargparse.Namespace) -> Path:
    """Folder of the live release, or of the unpublished stages.

    Raises:
        ValueError: both are given, or none.
        ArtifactError: nothing is published.
    """
    if (options.releases is None) == (options.artifacts is None):
        raise ValueError("the command must get either --releases or --artifacts, got both or none")
    root: Path = options.artifacts or live_release(options.releases)
    return root


def _actions(root: Path) -> Sequence[str]:
    return load_dataset(root / "data").acting
